-- The store. One file holds all experiments and is the only truth.
--
-- Conventions. Seconds are wall time; memory is MiB (2^20 bytes); tokens are unpadded; times of
-- day are ISO 8601 text with offset, as the machine wrote them. NULL means "not measured" or "not
-- applicable", never zero. References between tables are kept by the writer, in one transaction
-- a trial; they are not declared, because an index on every item slows the bulk load.

CREATE SEQUENCE event_sequence;
CREATE SEQUENCE entry_sequence;

-- One row: which program reads this store.
CREATE TABLE schema_version (
    version    INTEGER PRIMARY KEY,     -- of tables and views, as released
    layout     VARCHAR NOT NULL,        -- hash of how they are made, which differs before a release too
    created_at VARCHAR NOT NULL         -- when the store was made, ISO 8601
);

-- One row per declared experiment.
CREATE TABLE experiment (
    experiment_id VARCHAR PRIMARY KEY,  -- identity, from what makes trials comparable
    name          VARCHAR NOT NULL,     -- short name in the experiment file; several ids may share it
    created_at    VARCHAR NOT NULL,     -- first declaration
    declared_at   VARCHAR NOT NULL,     -- latest declaration: the latest run or resumption
    spec          JSON NOT NULL,        -- the resolved experiment file, as last declared
    data          JSON NOT NULL,        -- fingerprint of the data and summary of the leakage audit
    model         JSON NOT NULL,        -- reference, path, fingerprint, revision of the base model
    environment   JSON NOT NULL,        -- library -> version, machine, at the latest declaration
    general_tasks JSON NOT NULL         -- task -> metric, accuracy, higher_is_better, chance
);

-- Rows of the test set, by content: a row that any study has read is read.
CREATE TABLE experiment_test_row (
    experiment_id VARCHAR NOT NULL,     -- -> experiment, which may have been removed since
    row_hash      VARCHAR NOT NULL      -- hash of the row's inputs and answer
);

-- Sizes of the audited splits.
CREATE TABLE experiment_split (
    experiment_id VARCHAR NOT NULL,     -- -> experiment
    split         VARCHAR NOT NULL,     -- train, validation, test, or an out-of-domain set
    examples      INTEGER NOT NULL,     -- number of examples
    PRIMARY KEY (experiment_id, split)
);

-- One row per trial: what it computes, once for all studies that name it.
CREATE TABLE trial (
    trial_id                     VARCHAR PRIMARY KEY,  -- hash of `identity`
    identity                     JSON NOT NULL,        -- all that can change what the trial computes, by name
    weights_id                   VARCHAR,              -- hash of the part of it that training reads; NULL: nothing is trained
    kind                         VARCHAR NOT NULL,     -- prompt, full, lora, qlora
    seed                         BIGINT NOT NULL,      -- seed of data order, initialisation, drawn shots
    status                       VARCHAR NOT NULL,     -- complete, failed, pruned
    failure_kind                 VARCHAR NOT NULL,     -- nan_loss, out_of_memory, killed, hung, deadline, lost, canary, endpoint, key, ledger, spending_cap, error; empty if none
    failure_message              VARCHAR NOT NULL,     -- what happened; empty if nothing failed
    started_at                   VARCHAR NOT NULL,     -- start of the trial
    ended_at                     VARCHAR NOT NULL,     -- end of the trial
    params                       JSON NOT NULL,        -- every hyperparameter, resolved
    spec                         JSON NOT NULL,        -- the whole specification that the trial was a function of
    environment                  JSON NOT NULL,        -- library -> version, machine, of the process that ran it
    canary_before_max_difference DOUBLE,               -- largest |logit difference| to the base before step 0; must be 0; NULL: no training
    canary_after_max_difference  DOUBLE,               -- the same after training; must be above 0; NULL: no training
    canary_prompt_tokens_equal   BOOLEAN,              -- training and scoring tokenise prompts alike; NULL: no canaries ran
    load_seconds                 DOUBLE,               -- loading the weights
    train_seconds                DOUBLE,               -- training
    score_seconds                DOUBLE,               -- scoring, reused scores not counted
    train_tokens                 BIGINT,               -- tokens trained on; NULL: not said by a training command
    peak_memory_mib              DOUBLE,               -- peak host memory
    peak_device_mib              DOUBLE,               -- peak accelerator memory; NULL on a CPU
    total_parameters             BIGINT,               -- parameters of the candidate
    trainable_parameters         BIGINT,               -- parameters that were trained
    artifact_bytes               BIGINT,               -- size of what would be deployed
    measure_seconds              DOUBLE,               -- judges, which no other of its times holds
    measure_tokens               BIGINT,               -- that judges read and wrote
    measure_money                DOUBLE,               -- that servers of judges charged
    content_hash                 VARCHAR NOT NULL,     -- SHA-256 of the trial's record: makes ingestion idempotent
    ingested_at                  VARCHAR NOT NULL,     -- when the record entered the store
    stopped                      JSON,                 -- where a pruned trial was stopped: unit, done, total, value, against, values; NULL: not pruned
    checkpoint                   JSON,                 -- which weights of its training were kept: step, steps, epoch, validation_loss, last_validation_loss, last_score, validation_score, last_validation_score; NULL: none trained, or no validation loss measured
    writing                      JSON                  -- of a trial that has an instruction written: writer, own, headroom, proposals, text, score, own_score, quoted, ended, rows_answered, answering_tokens, writing_tokens, tokens_a_row, money; NULL: none was written
);

-- Which trials a study names, and as what. A study has no trials of its own.
CREATE TABLE study_trial (
    entry         BIGINT PRIMARY KEY DEFAULT nextval('entry_sequence'),  -- number of the entry, of any study
    experiment_id VARCHAR NOT NULL,     -- -> experiment
    arm           VARCHAR NOT NULL,     -- name of the arm in the experiment file
    phase         VARCHAR NOT NULL,     -- search, finalist, baseline, default (the untuned setting on test), curve (on fewer training examples), latency (single requests, timed), writing (of an instruction), bootstrap (of worked examples that reason)
    number        INTEGER NOT NULL,     -- within arm and phase, from 0; 0 of a search is the default setting
    trial_id      VARCHAR NOT NULL,     -- -> trial; no row there: it has not ended
    failure_kind  VARCHAR,              -- why what this study asks of a trial that had ended could not be scored; NULL: it could
    failure_message VARCHAR             -- what happened; NULL as well
);

-- The scores that a study asks of a trial that it names, computed for it, known before, or (of a
-- failed trial) missing.
CREATE TABLE study_score (
    entry     BIGINT NOT NULL,          -- -> study_trial
    score_key VARCHAR NOT NULL,         -- -> score; no row there: not scored
    task      VARCHAR NOT NULL,         -- lm-eval task name, unique within the entry, suite, split and answering
    suite     VARCHAR NOT NULL,         -- domain, general, out_of_domain, memorisation, divergence, latency
    split     VARCHAR NOT NULL,         -- train, validation, test
    answering VARCHAR NOT NULL          -- way of answering, where the trial tries several, of which its params name the best; else empty
);

-- What was scored of a trial after it had ended, as another study, or a longer one, asked for more.
CREATE TABLE trial_addition (
    trial_id      VARCHAR NOT NULL,     -- -> trial
    content_hash  VARCHAR NOT NULL,     -- SHA-256 of the record: makes ingestion idempotent
    ingested_at   VARCHAR NOT NULL,     -- when the record entered the store
    load_seconds  DOUBLE,               -- loading the weights; NULL: not known
    train_seconds DOUBLE,               -- training again, where the weights were gone; NULL: not known
    score_seconds DOUBLE,               -- scoring; NULL: not known
    measure_seconds DOUBLE,             -- judges; NULL: not known
    measure_tokens BIGINT,              -- that judges read and wrote; NULL: not known
    measure_money DOUBLE,               -- that servers of judges charged; NULL: not known
    environment   JSON NOT NULL         -- library -> version, machine, of the process that ran it
);

-- One row per optimiser step.
CREATE TABLE training_step (
    trial_id        VARCHAR NOT NULL,   -- -> trial
    step            INTEGER NOT NULL,   -- from 1
    steps           INTEGER NOT NULL,   -- planned steps
    epoch           DOUBLE,             -- passes over the training split so far; NULL: not said by a training command
    loss            DOUBLE,             -- mean cross-entropy per answer token, nats, lower is better; NULL: not a number, or not said
    learning_rate   DOUBLE,             -- rate at this step; NULL: not said
    grad_norm       DOUBLE,             -- norm of the gradient before clipping; NULL: not a number, or not said
    tokens          BIGINT NOT NULL,    -- tokens seen so far; 0: not said
    seconds         DOUBLE,             -- since training began
    validation_loss DOUBLE,             -- the same loss on validation answers; NULL: not measured here
    validation_score DOUBLE             -- primary metric of replies to the same rows; NULL: none asked for here, or not a number
);

-- One row per scored candidate and set of items. Trials that need the same score share it.
CREATE TABLE score (
    score_key VARCHAR PRIMARY KEY,      -- content address: hash of everything that can change the answer
    asked     VARCHAR NOT NULL,         -- the part of it that is neither items nor metrics: -> reply
    scored_by VARCHAR NOT NULL,         -- trial that computed it
    task      VARCHAR NOT NULL,         -- lm-eval task name
    suite     VARCHAR NOT NULL,         -- domain, general, out_of_domain, memorisation, divergence, latency
    split     VARCHAR NOT NULL,         -- train, validation, test
    form      VARCHAR NOT NULL,         -- what was scored: base, base-nf4, adapter-on-bfloat16, adapter-on-nf4, full, endpoint
    seconds   DOUBLE,                   -- wall time of scoring
    chance    DOUBLE,                   -- score of guessing; NULL where there is none
    latencies DOUBLE[] NOT NULL,        -- seconds per request sent one at a time, of the suite latency; else empty
    items     INTEGER NOT NULL,         -- rows of it in item_output; 0 of the suites divergence and latency
    prompt_tokens     BIGINT NOT NULL,  -- of all of them
    completion_tokens BIGINT NOT NULL   -- of all of them
);

-- The metrics of a score, long form.
CREATE TABLE score_metric (
    score_key        VARCHAR NOT NULL,  -- -> score
    metric           VARCHAR NOT NULL,  -- metric name
    value            DOUBLE,            -- over all items, in the metric's unit; NULL: per item only, or not a number
    higher_is_better BOOLEAN NOT NULL,  -- direction
    low              DOUBLE,            -- 95 % interval of a metric of all items together that the user brings,
    high             DOUBLE,            -- clusters drawn anew; NULL elsewhere
    unscored         VARCHAR,           -- which items the user's metric could not score, and why; NULL: it scored all
    moved            DOUBLE             -- how far an instruction within replies moved a judge's mark, in marks; NULL: not tried
);

-- What was replied to single requests, so that none is made twice of one candidate.
CREATE TABLE reply (
    asked    VARCHAR NOT NULL,          -- hash of who is asked and how: all that can change a reply but the request
    request  VARCHAR NOT NULL,          -- hash of the request: its kind, its text, its options
    response VARCHAR NOT NULL,          -- JSON: the text, or [log-likelihood, whether greedy], or a log-likelihood
    remark   VARCHAR                    -- JSON: tokens that the prompt was cut to, or a server's name and counts; NULL: nothing
);

-- One row per item of a score: what the candidate replied.
CREATE TABLE item_output (
    score_key         VARCHAR NOT NULL, -- -> score
    position          INTEGER NOT NULL, -- order in which items were scored, from 0; never a key for pairing
    doc_hash          VARCHAR NOT NULL, -- lm-eval's hash of the item: the key by which arms are paired
    item_id           VARCHAR NOT NULL, -- id in the data set
    cluster           VARCHAR NOT NULL, -- items of one cluster are resampled together
    target            VARCHAR NOT NULL, -- right answer
    output            VARCHAR NOT NULL, -- the model's reply, before any filter
    prompt_tokens     INTEGER NOT NULL, -- tokens a server would be sent, shots and template included
    completion_tokens INTEGER NOT NULL, -- tokens of the reply
    text              VARCHAR NOT NULL, -- the item as the task's template renders it; empty in general suites
    filtered          VARCHAR           -- what the filter that counts took the reply for; NULL: the reply itself
);

-- One row per item, filter and metric of a score.
CREATE TABLE item_score (
    score_key   VARCHAR NOT NULL,       -- -> score
    doc_hash    VARCHAR NOT NULL,       -- -> item_output
    filter      VARCHAR NOT NULL,       -- lm-eval filter that extracted the answer
    filter_rank INTEGER NOT NULL,       -- order of the task's filters, from 0; 0 is the one that counts, which score_metric is of
    metric      VARCHAR NOT NULL,       -- metric name
    value       DOUBLE                  -- in the metric's unit; NULL: the item could not be scored
);

-- Files that a trial left.
CREATE TABLE artifact (
    trial_id VARCHAR NOT NULL,          -- -> trial
    path     VARCHAR NOT NULL,          -- relative to the trial's folder
    sha256   VARCHAR NOT NULL,          -- of the content, hex
    bytes    BIGINT NOT NULL            -- size
);

-- What happened to an experiment; rows are only ever added. Of one that was removed test_access and
-- removed stay.
CREATE TABLE event (
    event_id      BIGINT PRIMARY KEY DEFAULT nextval('event_sequence'),  -- order of recording
    experiment_id VARCHAR NOT NULL,     -- -> experiment
    recorded_at   VARCHAR NOT NULL,     -- when
    kind          VARCHAR NOT NULL,     -- declared, locked (the plan, before the first trial), planned, test_access, finished (a run came to its end), verdict, trial_replaced, score_differs, resumed, removed...
    who           VARCHAR NOT NULL,     -- user, machine, process
    detail        JSON NOT NULL         -- depends on the kind
);
