-- What the revisions in versions/ make of nothing. Written by `python -m tools.ledger_sql`.

CREATE TABLE converge.alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE converge.run (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            source text NOT NULL,
            target_schema text NOT NULL,
            plan_digest text NOT NULL,
            state text NOT NULL CHECK (state IN ('running', 'interrupted', 'failed', 'finished')),
            snapshot text,
            report jsonb,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            finished_at timestamptz
        );

CREATE TABLE converge.chunk (
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            source_table text NOT NULL,
            number integer NOT NULL,
            low jsonb,
            high jsonb,
            rows bigint,
            bytes bigint,
            seconds double precision,
            done_at timestamptz,
            PRIMARY KEY (run_id, source_table, number)
        );

COMMENT ON COLUMN converge.chunk.low IS 'source key literals; rows with low < key <= high';

COMMENT ON COLUMN converge.chunk.done_at IS 'set in the transaction that holds the rows';

CREATE TABLE converge.step (
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            number integer NOT NULL,
            phase text NOT NULL,
            object text NOT NULL,
            sql text NOT NULL,
            refused text,
            done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (run_id, number)
        );

COMMENT ON COLUMN converge.step.refused IS 'why the server refused an optional statement';

INSERT INTO converge.alembic_version (version_num) VALUES ('0001') RETURNING converge.alembic_version.version_num;

-- Running upgrade 0001 -> 0002

ALTER TABLE converge.run ADD COLUMN evidence json, ALTER COLUMN report TYPE json;

COMMENT ON COLUMN converge.run.evidence IS 'what the scan and the trials have shown';

UPDATE converge.alembic_version SET version_num='0002' WHERE converge.alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

ALTER TABLE converge.run ADD COLUMN position text;

ALTER TABLE converge.run ADD COLUMN truncates boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN converge.run.position IS 'the source''s GTIDs or binary log at the snapshot';

ALTER TABLE converge.chunk ADD COLUMN xid xid, ADD COLUMN rejected bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN converge.chunk.xid IS 'xmin of the rows that the chunk has written';

UPDATE converge.run SET plan_digest = '' WHERE state <> 'finished';

CREATE TABLE converge.reject (
            run_id bigint NOT NULL,
            source_table text NOT NULL,
            chunk integer NOT NULL,
            key text NOT NULL,
            column_name text,
            value bytea NOT NULL,
            value_bytes bigint NOT NULL,
            sqlstate text NOT NULL,
            message text NOT NULL,
            FOREIGN KEY (run_id, source_table, chunk) REFERENCES converge.chunk ON DELETE CASCADE
        );

CREATE INDEX ON converge.reject (run_id, source_table, chunk);

COMMENT ON COLUMN converge.reject.value IS 'as COPY got it, at most its first 64 kB';

UPDATE converge.alembic_version SET version_num='0003' WHERE converge.alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE converge.audit (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            attempt uuid NOT NULL,
            backfill text NOT NULL,
            target_table text NOT NULL,
            target_column text NOT NULL,
            row_key text NOT NULL,
            shown text,
            resolution_status text NOT NULL CHECK (resolution_status IN ('success', 'failed')),
            reason text,
            error text,
            old_value text,
            new_value text,
            attempted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CHECK ((resolution_status = 'failed') = (error IS NOT NULL)),
            CHECK ((error IS NULL) = (reason IS NULL))
        );

CREATE INDEX ON converge.audit (backfill, target_table, row_key, id);

CREATE INDEX ON converge.audit (attempted_at);

COMMENT ON TABLE converge.audit IS 'each attempt to fill a row: never changed, only archived';

COMMENT ON COLUMN converge.audit.attempt IS 'the same for all rows of one command';

COMMENT ON COLUMN converge.audit.shown IS 'what the map says people know the row by';

COMMENT ON COLUMN converge.audit.error IS 'why it failed; NULL is success';

UPDATE converge.alembic_version SET version_num='0004' WHERE converge.alembic_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

ALTER TABLE converge.run ADD COLUMN targets jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN converge.run.targets IS 'source table: table of the target schema';

COMMENT ON COLUMN converge.run.evidence IS 'what the scan and the trials have shown; in load mode the target''s tables as they were';

ALTER TABLE converge.run DROP CONSTRAINT run_state_check;

ALTER TABLE converge.run ADD CONSTRAINT run_state_check CHECK (state IN ('running', 'interrupted', 'failed', 'finished', 'recovering', 'recovered'));

UPDATE converge.alembic_version SET version_num='0005' WHERE converge.alembic_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

CREATE TABLE converge.plan (
            run_id bigint PRIMARY KEY REFERENCES converge.run ON DELETE CASCADE,
            options json NOT NULL,
            plan json NOT NULL,
            there json,
            made json
        );

COMMENT ON COLUMN converge.plan.options IS 'mode, selection, and what the maps held';

COMMENT ON COLUMN converge.plan.there IS 'names of the schema''s objects before the run';

COMMENT ON COLUMN converge.plan.made IS 'a text for each object that the plan has made';

CREATE TABLE converge.verification (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            level text NOT NULL,
            verdict text NOT NULL,
            report json NOT NULL,
            verified_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );

CREATE INDEX ON converge.verification (run_id, id);

UPDATE converge.alembic_version SET version_num='0006' WHERE converge.alembic_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

CREATE TABLE converge.repair (
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            source_table text NOT NULL,
            xid xid NOT NULL,
            repaired_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );

CREATE INDEX ON converge.repair (run_id);

COMMENT ON COLUMN converge.repair.xid IS 'xmin of the rows that the repair has written';

UPDATE converge.alembic_version SET version_num='0007' WHERE converge.alembic_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

ALTER TABLE converge.run ADD paused boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN converge.run.paused IS 'whether no work is handed out';

UPDATE converge.alembic_version SET version_num='0008' WHERE converge.alembic_version.version_num = '0007';

-- Running upgrade 0008 -> 0009

ALTER TABLE converge.run ADD joins jsonb;

COMMENT ON COLUMN converge.run.joins IS 'what a worker must know to join; null: none is awaited';

CREATE TABLE converge.worker (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            attempt text NOT NULL,
            host text NOT NULL,
            process integer NOT NULL,
            jobs integer NOT NULL,
            ready boolean NOT NULL DEFAULT false,
            taken boolean NOT NULL DEFAULT false,
            tasks bigint NOT NULL DEFAULT 0,
            rows bigint NOT NULL DEFAULT 0,
            bytes bigint NOT NULL DEFAULT 0,
            joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            left_at timestamptz,
            reason text
        );

CREATE INDEX ON converge.worker (run_id);

COMMENT ON COLUMN converge.worker.attempt IS 'process and start of the run it has joined';

CREATE TABLE converge.task (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            worker_id integer NOT NULL REFERENCES converge.worker ON DELETE CASCADE,
            task text NOT NULL,
            answer text
        );

CREATE INDEX ON converge.task (worker_id);

UPDATE converge.alembic_version SET version_num='0009' WHERE converge.alembic_version.version_num = '0008';

-- Running upgrade 0009 -> 0010

CREATE TABLE converge.changed (target_table text NOT NULL, key text[]);

COMMENT ON TABLE converge.changed IS 'rows that have changed since rollback --prepare';

COMMENT ON COLUMN converge.changed.target_table IS 'schema and table, quoted';

COMMENT ON COLUMN converge.changed.key IS 'the key''s values; NULL: the table as a whole';

UPDATE converge.alembic_version SET version_num='0010' WHERE converge.alembic_version.version_num = '0009';

-- Running upgrade 0010 -> 0011

CREATE TABLE converge.follow (
            run_id bigint PRIMARY KEY REFERENCES converge.run ON DELETE CASCADE,
            log jsonb NOT NULL,
            identities jsonb NOT NULL,
            epoch bigint NOT NULL DEFAULT 0,
            rows bigint NOT NULL DEFAULT 0,
            seen_at timestamptz,
            proof jsonb,
            certificate jsonb
        );

COMMENT ON COLUMN converge.follow.log IS 'the target has all that the source had committed before this place in its binary log';

COMMENT ON COLUMN converge.follow.identities IS 'what the tables of the source were then';

COMMENT ON COLUMN converge.follow.epoch IS 'how often the target was made equal to the source since the run';

COMMENT ON COLUMN converge.follow.rows IS 'rows that were replaced in all';

COMMENT ON COLUMN converge.follow.seen_at IS 'when the source was as the target is now, by the clock of the source';

COMMENT ON COLUMN converge.follow.proof IS 'the last comparison of every row';

COMMENT ON COLUMN converge.follow.certificate IS 'of the cutover, after which the application writes to the target';

UPDATE converge.alembic_version SET version_num='0011' WHERE converge.alembic_version.version_num = '0010';

-- Running upgrade 0011 -> 0012

ALTER TABLE converge.follow DROP COLUMN proof, ADD COLUMN keys bigint NOT NULL DEFAULT 0;

CREATE TABLE converge.proven (
            run_id bigint NOT NULL REFERENCES converge.follow ON DELETE CASCADE,
            source_table text NOT NULL,
            replaced bigint NOT NULL DEFAULT 0,
            proof jsonb,
            began jsonb,
            upto text[],
            PRIMARY KEY (run_id, source_table)
        );

COMMENT ON COLUMN converge.follow.keys IS 'keys of the last epoch';

COMMENT ON TABLE converge.proven IS 'when tables that are followed were compared';

COMMENT ON COLUMN converge.proven.replaced IS 'rows that epochs have replaced, and compared';

COMMENT ON COLUMN converge.proven.proof IS 'the last comparison: epoch, time and replaced rows when it began, and rows';

COMMENT ON COLUMN converge.proven.began IS 'the same of the comparison that is going on';

COMMENT ON COLUMN converge.proven.upto IS 'the key up to which it has come';

UPDATE converge.alembic_version SET version_num='0012' WHERE converge.alembic_version.version_num = '0011';

-- Running upgrade 0012 -> 0013

CREATE TABLE converge.prepared (target_table text PRIMARY KEY, run_id bigint, mark text NOT NULL);

COMMENT ON TABLE converge.prepared IS 'tables of which rollback --prepare lets changes be noted';

COMMENT ON COLUMN converge.prepared.target_table IS 'schema and table, quoted';

COMMENT ON COLUMN converge.prepared.run_id IS 'the run by whose plan it was prepared';

COMMENT ON COLUMN converge.prepared.mark IS 'relation, file, and a digest of the columns: others, and all rows are read';

UPDATE converge.alembic_version SET version_num='0013' WHERE converge.alembic_version.version_num = '0012';

-- Running upgrade 0013 -> 0014

ALTER TABLE converge.run ADD COLUMN next_values jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN converge.run.next_values IS 'next values that a load sets, by sequence';

UPDATE converge.alembic_version SET version_num='0014' WHERE converge.alembic_version.version_num = '0013';

-- Running upgrade 0014 -> 0015

ALTER TABLE converge.follow ADD crashed text NOT NULL DEFAULT '';

COMMENT ON COLUMN converge.follow.crashed IS 'binary log file that the source began after its last crash; all tables are compared again after it';

UPDATE converge.alembic_version SET version_num='0015' WHERE converge.alembic_version.version_num = '0014';
