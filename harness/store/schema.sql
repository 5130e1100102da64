-- The store, version 1. One file holds all experiments and is the only truth.
--
-- Conventions. Seconds are wall time; memory is MiB (2^20 bytes); tokens are unpadded; times of
-- day are ISO 8601 text with offset, as the machine wrote them. NULL means "not measured" or "not
-- applicable", never zero. References between tables are kept by the writer, in one transaction
-- a trial; they are not declared, because an index on every item slows the bulk load.

CREATE SEQUENCE event_sequence;

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

-- Sizes of the audited splits.
CREATE TABLE experiment_split (
    experiment_id VARCHAR NOT NULL,     -- -> experiment
    split         VARCHAR NOT NULL,     -- train, validation, test, or an out-of-domain set
    examples      INTEGER NOT NULL,     -- number of examples
    PRIMARY KEY (experiment_id, split)
);

-- One row per trial: one evaluation of one candidate.
CREATE TABLE trial (
    trial_id                     VARCHAR PRIMARY KEY,  -- identity: experiment, arm, setting, seed
    experiment_id                VARCHAR NOT NULL,     -- -> experiment
    arm                          VARCHAR NOT NULL,     -- name of the arm in the experiment file
    kind                         VARCHAR NOT NULL,     -- prompt, full, lora, qlora
    phase                        VARCHAR NOT NULL,     -- search, finalist, baseline, default (the untuned setting on test), curve (on fewer training examples)
    number                       INTEGER NOT NULL,     -- within arm and phase, from 0; 0 of a search is the default setting
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
    train_tokens                 BIGINT,               -- tokens trained on
    peak_memory_mib              DOUBLE,               -- peak host memory
    peak_device_mib              DOUBLE,               -- peak accelerator memory; NULL on a CPU
    total_parameters             BIGINT,               -- parameters of the candidate
    trainable_parameters         BIGINT,               -- parameters that were trained
    artifact_bytes               BIGINT,               -- size of what would be deployed
    content_hash                 VARCHAR NOT NULL,     -- SHA-256 of the trial's record: makes ingestion idempotent
    ingested_at                  VARCHAR NOT NULL      -- when the record entered the store
);

-- One row per optimiser step.
CREATE TABLE training_step (
    trial_id        VARCHAR NOT NULL,   -- -> trial
    step            INTEGER NOT NULL,   -- from 1
    steps           INTEGER NOT NULL,   -- planned steps
    epoch           DOUBLE,             -- passes over the training split so far
    loss            DOUBLE,             -- mean cross-entropy per answer token, nats, lower is better; NULL: not a number
    learning_rate   DOUBLE,             -- rate at this step
    grad_norm       DOUBLE,             -- norm of the gradient before clipping; NULL: not a number
    tokens          BIGINT NOT NULL,    -- tokens seen so far
    seconds         DOUBLE,             -- since training began
    validation_loss DOUBLE              -- the same loss on validation answers; NULL: not measured here
);

-- One row per scored candidate and set of items. Trials that need the same score share it.
CREATE TABLE score (
    score_key VARCHAR PRIMARY KEY,      -- content address: hash of everything that can change the answer
    scored_by VARCHAR NOT NULL,         -- trial that computed it
    task      VARCHAR NOT NULL,         -- lm-eval task name
    suite     VARCHAR NOT NULL,         -- domain, general, out_of_domain, memorisation, divergence
    split     VARCHAR NOT NULL,         -- train, validation, test
    form      VARCHAR NOT NULL,         -- what was scored: base, base-nf4, adapter-on-bfloat16, adapter-on-nf4, full, endpoint
    seconds   DOUBLE,                   -- wall time of scoring
    chance    DOUBLE,                   -- score of guessing; NULL where there is none
    latencies DOUBLE[] NOT NULL         -- seconds per request sent one at a time; empty: not measured
);

-- The metrics of a score, long form.
CREATE TABLE score_metric (
    score_key        VARCHAR NOT NULL,  -- -> score
    metric           VARCHAR NOT NULL,  -- metric name
    value            DOUBLE,            -- over all items, in the metric's unit; NULL: per item only, or not a number
    higher_is_better BOOLEAN NOT NULL   -- direction
);

-- The scores that a trial asked for, whether computed by it, reused, or (a failed trial) missing.
-- A pruned trial has none.
CREATE TABLE trial_score (
    trial_id  VARCHAR NOT NULL,         -- -> trial
    score_key VARCHAR NOT NULL,         -- -> score; no row there: not scored
    task      VARCHAR NOT NULL,         -- lm-eval task name, unique within the trial
    suite     VARCHAR NOT NULL,         -- domain, general, out_of_domain, memorisation, divergence
    split     VARCHAR NOT NULL          -- train, validation, test
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
    text              VARCHAR NOT NULL  -- the item as the task's template renders it; empty in general suites
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

-- What happened to an experiment; rows are only ever added.
CREATE TABLE event (
    event_id      BIGINT PRIMARY KEY DEFAULT nextval('event_sequence'),  -- order of recording
    experiment_id VARCHAR NOT NULL,     -- -> experiment
    recorded_at   VARCHAR NOT NULL,     -- when
    kind          VARCHAR NOT NULL,     -- declared, test_access, trial_replaced, score_differs, resumed...
    who           VARCHAR NOT NULL,     -- user, machine, process
    detail        JSON NOT NULL         -- depends on the kind
);
