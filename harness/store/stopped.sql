-- Version 2: where a pruned trial was stopped.

ALTER TABLE trial ADD COLUMN stopped JSON;  -- unit, done, total, value, against, values; NULL: not pruned
