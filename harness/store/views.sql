-- Views with plain names, for reading. They hold no data.

-- One row per score that a study asks of a trial that it names. Of several ways of answering it is
-- that of the trial's best one; a pruned trial has none, whoever computed them.
CREATE VIEW asked_score AS
SELECT n.entry, n.experiment_id, n.trial_id, l.score_key, l.task, l.suite, l.split
FROM study_trial n
JOIN trial t USING (trial_id)
JOIN study_score l USING (entry)
WHERE t.status <> 'pruned'
  AND (l.answering = '' OR l.answering = t.params ->> '$.answering');

-- One row per trial that a study names and that has ended for it. A complete one of which the study
-- asks for more than is scored has not; it has failed where an attempt to score that did.
CREATE VIEW named_trial AS
SELECT n.entry, n.experiment_id, n.arm, n.phase, n.number, t.* REPLACE (
    CASE WHEN l.lacking THEN 'failed' ELSE t.status END AS status,
    CASE WHEN l.lacking THEN n.failure_kind ELSE t.failure_kind END AS failure_kind,
    CASE WHEN l.lacking THEN n.failure_message ELSE t.failure_message END AS failure_message
)
FROM study_trial n JOIN trial t USING (trial_id)
LEFT JOIN (
    SELECT DISTINCT l.entry, TRUE AS lacking FROM asked_score l ANTI JOIN score s USING (score_key)
) l ON l.entry = n.entry AND t.status = 'complete'
WHERE l.lacking IS NULL OR n.failure_kind IS NOT NULL;

-- The scores that a study asks of trials that have ended for it.
CREATE VIEW named_score AS
SELECT l.* FROM asked_score l SEMI JOIN named_trial t USING (entry);

-- One row per trial: setting, outcome, cost.
CREATE VIEW trials AS
SELECT
    e.name AS experiment, t.experiment_id, t.trial_id, t.arm, t.kind, t.phase, t.number, t.seed,
    t.status, t.failure_kind, t.failure_message, t.params, t.started_at, t.ended_at,
    t.canary_before_max_difference, t.canary_after_max_difference, t.canary_prompt_tokens_equal,
    t.load_seconds, t.train_seconds, t.score_seconds, t.train_tokens, t.peak_memory_mib,
    t.peak_device_mib, t.total_parameters, t.trainable_parameters, t.artifact_bytes,
    (SELECT max(s.step) FROM training_step s WHERE s.trial_id = t.trial_id) AS steps,
    (SELECT arg_max(s.loss, s.step) FROM training_step s WHERE s.trial_id = t.trial_id)
        AS last_loss,
    (SELECT count(*) FROM named_score l
     WHERE l.entry = t.entry
       AND NOT EXISTS (SELECT 1 FROM score s WHERE s.score_key = l.score_key)) AS unscored
FROM named_trial t JOIN experiment e USING (experiment_id);

-- One row per trial, task and metric. reused: another trial computed the score.
CREATE VIEW scores AS
SELECT
    e.name AS experiment, t.experiment_id, t.trial_id, t.arm, t.kind, t.phase, t.number, t.seed,
    t.status, l.suite, l.task, l.split, s.form, m.metric, m.value, m.higher_is_better, s.chance,
    s.items, s.prompt_tokens / nullif(s.items, 0) AS prompt_tokens,
    s.completion_tokens / nullif(s.items, 0) AS completion_tokens, s.seconds,
    s.scored_by <> t.trial_id AS reused, s.score_key
FROM named_trial t
JOIN experiment e USING (experiment_id)
JOIN named_score l USING (entry)
JOIN score s USING (score_key)
JOIN score_metric m USING (score_key);

-- One row per instruction that a model proposed, in the order of its writing: what became of it.
CREATE VIEW proposals AS
SELECT
    experiment, experiment_id, trial_id, arm, seed, writer,
    proposal.number, proposal.parent, proposal.status, proposal.why, proposal.before,
    proposal.after, proposal.score, proposal.tokens, proposal.text, proposal.feedback
FROM (
    SELECT
        e.name AS experiment, t.experiment_id, t.trial_id, t.arm, t.seed,
        t.writing ->> '$.writer' AS writer,
        unnest(from_json(t.writing -> '$.proposals', '[{"number": "INTEGER",
            "parent": "INTEGER", "text": "VARCHAR", "status": "VARCHAR", "why": "VARCHAR",
            "before": "DOUBLE", "after": "DOUBLE", "score": "DOUBLE", "tokens": "BIGINT",
            "feedback": "VARCHAR"}]')) AS proposal
    FROM named_trial t JOIN experiment e USING (experiment_id)
    WHERE t.writing IS NOT NULL
);

-- One row per trial, item, filter and metric: what was replied and what it was worth.
CREATE VIEW items AS
SELECT
    e.name AS experiment, t.experiment_id, t.arm, t.kind, t.phase, t.number, t.seed, t.trial_id,
    t.status, l.suite, l.task, l.split, o.doc_hash, o.item_id, o.cluster, o.text, o.target, o.output,
    o.filtered, o.prompt_tokens, o.completion_tokens, i.filter, i.filter_rank, i.metric,
    i.value
FROM named_trial t
JOIN experiment e USING (experiment_id)
JOIN named_score l USING (entry)
JOIN item_output o USING (score_key)
LEFT JOIN item_score i ON i.score_key = l.score_key AND i.doc_hash = o.doc_hash;

-- One row per finalist and seed, with the primary metric of the domain suite on each split.
CREATE VIEW finalists AS
SELECT
    e.name AS experiment, t.experiment_id, t.arm, t.kind, t.seed, t.trial_id, t.status, t.params,
    coalesce(e.spec ->> '$.task.metrics[0].names[0]', e.spec ->> '$.task.metrics[0]') AS metric,
    max(m.value) FILTER (l.split = 'train') AS train,
    max(m.value) FILTER (l.split = 'validation') AS validation,
    max(m.value) FILTER (l.split = 'test') AS test
FROM named_trial t
JOIN experiment e USING (experiment_id)
LEFT JOIN named_score l ON l.entry = t.entry AND l.suite = 'domain'
LEFT JOIN score_metric m
    ON m.score_key = l.score_key
    AND m.metric = coalesce(e.spec ->> '$.task.metrics[0].names[0]', e.spec ->> '$.task.metrics[0]')
WHERE t.phase = 'finalist'
GROUP BY ALL;

-- One row per trial: what it took, and what a request of the candidate takes. A trial of an arm that
-- is asked for twice, by the search and as a finalist, is there once, as the finalist.
-- added_seconds: what more of it, scored or trained again after it had ended, took, whoever asked.
-- machine_money: all these seconds at the declared price of the machine.
-- measuring: what judges took, then and later, which no other column holds; money is their servers'.
-- Tokens are means per request over the domain suite; latencies, seconds per request, are those of
-- the trials of phase latency.
CREATE VIEW costs AS
WITH request AS (
    SELECT l.entry, sum(s.prompt_tokens) / nullif(sum(s.items), 0) AS prompt_tokens,
           sum(s.completion_tokens) / nullif(sum(s.items), 0) AS completion_tokens
    FROM named_score l JOIN score s USING (score_key)
    WHERE l.suite = 'domain' GROUP BY l.entry
), latency AS (
    SELECT entry, quantile_cont(seconds, 0.5) AS latency_p50,
           quantile_cont(seconds, 0.95) AS latency_p95
    FROM (SELECT l.entry, unnest(s.latencies) AS seconds
          FROM named_score l JOIN score s USING (score_key) WHERE l.suite = 'latency')
    GROUP BY entry
), addition AS (
    SELECT trial_id, sum(load_seconds + train_seconds + score_seconds) AS seconds
    FROM trial_addition GROUP BY trial_id
), measuring AS (
    SELECT trial_id, sum(measure_seconds) AS seconds, sum(measure_tokens) AS tokens,
           sum(measure_money) AS money
    FROM (SELECT trial_id, measure_seconds, measure_tokens, measure_money FROM trial
          UNION ALL
          SELECT trial_id, measure_seconds, measure_tokens, measure_money FROM trial_addition)
    GROUP BY trial_id
)
SELECT
    e.name AS experiment, t.experiment_id, t.arm, t.kind, t.phase, t.number, t.seed, t.trial_id,
    t.status, t.load_seconds, t.train_seconds, t.score_seconds,
    coalesce(a.seconds, 0) AS added_seconds, t.train_tokens, t.peak_memory_mib,
    t.peak_device_mib, t.trainable_parameters, t.total_parameters, t.artifact_bytes,
    r.prompt_tokens, r.completion_tokens, y.latency_p50, y.latency_p95,
    (t.load_seconds + t.train_seconds + t.score_seconds + coalesce(a.seconds, 0)) / 3600
        * CAST(e.spec ->> '$.cost.machine_per_hour' AS DOUBLE) AS machine_money,
    g.seconds AS measuring_seconds, g.tokens AS measuring_tokens, g.money AS measuring_money,
    e.spec ->> '$.cost.currency' AS currency
FROM named_trial t
JOIN experiment e USING (experiment_id)
LEFT JOIN request r USING (entry)
LEFT JOIN latency y USING (entry)
LEFT JOIN addition a ON a.trial_id = t.trial_id
LEFT JOIN measuring g ON g.trial_id = t.trial_id
QUALIFY row_number() OVER (
    PARTITION BY t.experiment_id, t.arm, t.trial_id ORDER BY t.phase <> 'finalist', t.entry
) = 1;

-- One row per access to test items. look: 1 is the first look of this arm and seed at this task.
-- The test of a default setting is planned beside the finalist's and is counted by itself; a trial
-- that only times requests sees no score and is counted by itself, too. A trial that was interrupted
-- and started again keeps its number: its first start left nothing to see. The accesses of a study
-- that was removed stay.
CREATE VIEW test_accesses AS
SELECT
    v.recorded_at, coalesce(e.name, g.name) AS experiment, v.experiment_id,
    v.detail ->> '$.arm' AS arm,
    CAST(v.detail ->> '$.seed' AS BIGINT) AS seed,
    v.detail ->> '$.task' AS task,
    v.detail ->> '$.trial_id' AS trial_id,
    v.detail ->> '$.purpose' AS purpose,
    v.who,
    dense_rank() OVER (
        PARTITION BY v.experiment_id, v.detail ->> '$.arm', v.detail ->> '$.seed',
                     v.detail ->> '$.task',
                     CASE v.detail ->> '$.phase' WHEN 'default' THEN 'default'
                          WHEN 'latency' THEN v.detail ->> '$.trial_id' ELSE '' END
        ORDER BY f.first_event
    ) AS look
FROM event v
LEFT JOIN experiment e USING (experiment_id)
LEFT JOIN (
    SELECT experiment_id, any_value(detail ->> '$.name') AS name
    FROM event WHERE kind = 'removed' GROUP BY experiment_id
) g USING (experiment_id)
JOIN (
    SELECT experiment_id, detail ->> '$.trial_id' AS trial_id, detail ->> '$.task' AS task,
           min(event_id) AS first_event
    FROM event WHERE kind = 'test_access' GROUP BY ALL
) f ON f.experiment_id = v.experiment_id AND f.task IS NOT DISTINCT FROM v.detail ->> '$.task'
    AND f.trial_id IS NOT DISTINCT FROM v.detail ->> '$.trial_id'
WHERE v.kind = 'test_access';
