-- Version 3: what a task's filter made of a reply.

ALTER TABLE item_output ADD COLUMN filtered VARCHAR;  -- what the filter that counts took the reply for; NULL: the reply itself
