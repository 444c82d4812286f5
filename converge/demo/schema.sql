-- "Commons": an invented workspace application. People belong to organisations, organisations own a tree of
-- spaces, spaces hold articles, articles collect comments, reactions and files.
-- Written for MySQL 8.0.15 and later. A statement ends with a semicolon at the end of a line; there are no
-- compound bodies, so no DELIMITER is needed.

CREATE TABLE organisation (
  id            INT UNSIGNED NOT NULL AUTO_INCREMENT,
  slug          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'Part of the public address',
  legal_name    VARCHAR(200) NOT NULL,
  country       CHAR(2) NOT NULL DEFAULT 'NL',
  founded       YEAR NULL,
  plan          ENUM('free','team','enterprise','non-profit') NOT NULL DEFAULT 'free',
  seats         SMALLINT UNSIGNED NOT NULL DEFAULT 5,
  credit        DECIMAL(14,2) NOT NULL DEFAULT 0.00 COMMENT 'Prepaid, in euro; below zero when overdrawn',
  verified      BIT(1) NOT NULL DEFAULT b'0',
  settings      JSON NOT NULL,
  about         TEXT NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY slug (slug),
  KEY by_name (legal_name(32))
) ENGINE=InnoDB AUTO_INCREMENT=90001 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
  COMMENT='Customers; it''s their "legal" identity';

CREATE TABLE person (
  id            CHAR(36) NOT NULL DEFAULT (UUID()),
  email         VARCHAR(254) NOT NULL,
  phone         VARCHAR(32) NULL COMMENT 'NULL: never asked; empty: asked and refused',
  displayName   VARCHAR(128) NOT NULL,
  status        ENUM('invited','active','locked','deleted') NOT NULL DEFAULT 'invited',
  is_staff      TINYINT(1) NOT NULL DEFAULT 0,
  notify        TINYINT(1) NOT NULL DEFAULT 1 COMMENT '0 never, 1 daily, 2 hourly, 3 at once',
  locale        VARCHAR(12) NOT NULL DEFAULT '',
  born          DATE NULL,
  traits        JSON NOT NULL,
  lastSeenAt    TIMESTAMP(3) NULL DEFAULT NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY email (email),
  KEY by_status (status, created_at DESC),
  KEY by_name (displayName(16))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='Identities';

CREATE TABLE credential (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  person_id     CHAR(36) NOT NULL,
  kind          ENUM('password','oidc','webauthn','recovery code') NOT NULL,
  identifier    VARCHAR(254) COLLATE utf8mb4_bin NOT NULL,
  secret        VARBINARY(96) NULL COMMENT 'Salted hash or public key',
  config        JSON NULL,
  sign_count    INT UNSIGNED NOT NULL DEFAULT 0,
  created_at    DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY kind_identifier (kind, identifier),
  CONSTRAINT credential_of_person FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE login_session (
  id            BINARY(16) NOT NULL,
  person_id     CHAR(36) NOT NULL,
  address       VARBINARY(16) NULL COMMENT 'IPv4 in 4 bytes, IPv6 in 16',
  user_agent    VARCHAR(512) NOT NULL DEFAULT '',
  device        BIT(12) NOT NULL DEFAULT b'0' COMMENT 'Capabilities the client announced',
  revoked       TINYINT(1) NOT NULL DEFAULT 0,
  opened_at     TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  expires_at    TIMESTAMP NULL DEFAULT NULL,
  PRIMARY KEY (id),
  KEY by_person (person_id, opened_at DESC),
  CONSTRAINT session_of_person FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE membership (
  organisation_id INT UNSIGNED NOT NULL,
  person_id     CHAR(36) NOT NULL,
  role          ENUM('owner','admin','member','guest') NOT NULL DEFAULT 'member',
  permissions   SET('read','write','invite','publish','billing') NULL COMMENT 'NULL: as the role says',
  joined_on     DATE NOT NULL,
  valid_until   DATE NOT NULL DEFAULT '9999-12-31',
  PRIMARY KEY (organisation_id, person_id),
  KEY by_validity (valid_until, role),
  CONSTRAINT membership_organisation FOREIGN KEY (organisation_id) REFERENCES organisation (id),
  CONSTRAINT membership_person FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE space (
  id            CHAR(36) NOT NULL,
  organisation_id INT UNSIGNED NOT NULL,
  parent_id     CHAR(36) NULL,
  pinned_article_id CHAR(36) NULL COMMENT 'Shown first; see the foreign key added after article',
  position      INT NOT NULL DEFAULT 0 COMMENT 'Order among siblings; below zero sorts before',
  title         VARCHAR(160) NOT NULL,
  visibility    ENUM('public','members','hidden') NOT NULL DEFAULT 'members',
  features      SET('calendar','polls','files','chat','wiki') NOT NULL DEFAULT '',
  theme         JSON NULL,
  opens         TIME NULL,
  closes        TIME NULL,
  latitude      DOUBLE NULL,
  longitude     DOUBLE NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY by_parent (parent_id, position),
  KEY by_organisation (organisation_id, title),
  CONSTRAINT space_of_organisation FOREIGN KEY (organisation_id) REFERENCES organisation (id),
  CONSTRAINT space_parent FOREIGN KEY (parent_id) REFERENCES space (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='A tree: rooms within rooms';

CREATE TABLE article (
  id            CHAR(36) NOT NULL,
  number        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Short number for links, beside the key',
  space_id      CHAR(36) NOT NULL,
  author_id     CHAR(36) NULL,
  kind          ENUM('note','how-to','question','poll','what''s new, in short') NOT NULL DEFAULT 'note',
  tags          SET('draft','pinned','archived','featured','legal','translation') NULL,
  title         VARCHAR(255) NOT NULL,
  summary       VARCHAR(500) NULL,
  body          LONGTEXT NOT NULL,
  layout        JSON NOT NULL,
  reading_time  FLOAT NULL COMMENT 'Minutes',
  score         DOUBLE NOT NULL DEFAULT 0,
  fingerprint   BIGINT UNSIGNED NULL COMMENT 'First 64 bits of a hash of the body',
  published_at  DATETIME(6) NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY number (number),
  KEY newest_in_space (space_id, published_at DESC),
  KEY by_title (title(40)),
  KEY by_body (body(64)),
  KEY articles_of_an_author_that_share_a_fingerprint_with_another_one (author_id, fingerprint),
  CONSTRAINT article_in_space FOREIGN KEY (space_id) REFERENCES space (id) ON DELETE CASCADE,
  CONSTRAINT article_author FOREIGN KEY (author_id) REFERENCES person (id) ON DELETE SET NULL ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

ALTER TABLE space
  ADD CONSTRAINT space_pinned FOREIGN KEY (pinned_article_id) REFERENCES article (id) ON DELETE SET NULL;

CREATE TABLE article_revision (
  article_id    CHAR(36) NOT NULL,
  revision      SMALLINT UNSIGNED NOT NULL,
  editor_id     CHAR(36) NULL,
  change_note   VARCHAR(255) COLLATE utf8mb4_unicode_ci NULL,
  body          MEDIUMTEXT NOT NULL,
  saved_at      DATETIME(3) NOT NULL,
  PRIMARY KEY (article_id, revision),
  KEY by_editor (editor_id, saved_at),
  CONSTRAINT revision_of_article FOREIGN KEY (article_id) REFERENCES article (id) ON DELETE CASCADE,
  CONSTRAINT revision_editor FOREIGN KEY (editor_id) REFERENCES person (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE comment (
  article_id    CHAR(36) NOT NULL,
  number        INT UNSIGNED NOT NULL COMMENT 'Counts from 1 within the article',
  reply_to      INT UNSIGNED NULL,
  author_id     CHAR(36) NULL,
  body          TEXT NOT NULL,
  edited_at     DATETIME NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (article_id, number),
  KEY by_author (author_id),
  CONSTRAINT comment_on_article FOREIGN KEY (article_id) REFERENCES article (id) ON DELETE CASCADE,
  CONSTRAINT comment_reply FOREIGN KEY (article_id, reply_to) REFERENCES comment (article_id, number),
  CONSTRAINT comment_author FOREIGN KEY (author_id) REFERENCES person (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE reaction (
  article_id    CHAR(36) NOT NULL,
  comment_number INT UNSIGNED NOT NULL,
  person_id     CHAR(36) NOT NULL,
  symbol        VARCHAR(16) COLLATE utf8mb4_bin NOT NULL,
  created_at    TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (article_id, comment_number, person_id, symbol),
  KEY by_person (person_id),
  CONSTRAINT reaction_on_comment FOREIGN KEY (article_id, comment_number)
    REFERENCES comment (article_id, number) ON DELETE CASCADE,
  CONSTRAINT reaction_person FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE attachment (
  id            BINARY(16) NOT NULL,
  article_id    CHAR(36) NOT NULL,
  file_name     VARCHAR(255) NOT NULL,
  media_type    VARCHAR(100) NOT NULL DEFAULT 'application/octet-stream',
  size          BIGINT UNSIGNED NOT NULL COMMENT 'Bytes',
  sha256        BINARY(32) NOT NULL,
  header        VARBINARY(64) NOT NULL DEFAULT '' COMMENT 'The first bytes, for type detection',
  thumbnail     MEDIUMBLOB NULL,
  taken_at      DATETIME NULL,
  PRIMARY KEY (id),
  KEY by_content (sha256(8)),
  KEY by_article (article_id, file_name(20)),
  CONSTRAINT attachment_of_article FOREIGN KEY (article_id) REFERENCES article (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE invoice (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  organisation_id INT UNSIGNED NOT NULL,
  reference     VARCHAR(24) NOT NULL,
  state         ENUM('open','paid','overdue','written off') NOT NULL DEFAULT 'open',
  issued_on     DATE NOT NULL,
  due_on        DATE NULL,
  net           DECIMAL(14,4) NOT NULL,
  tax           DECIMAL(14,4) UNSIGNED NOT NULL DEFAULT 0.0000,
  gross         DECIMAL(15,4) GENERATED ALWAYS AS (net + tax) STORED COMMENT 'What the customer pays',
  rate          DECIMAL(38,18) NOT NULL DEFAULT 1.000000000000000000 COMMENT 'Euro for one unit of the currency',
  currency      CHAR(3) NOT NULL DEFAULT 'EUR',
  note          VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY reference (reference),
  KEY by_organisation (organisation_id, issued_on DESC),
  KEY by_amount (gross),
  CONSTRAINT invoice_of_organisation FOREIGN KEY (organisation_id) REFERENCES organisation (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE booking (
  id            MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT,
  space_id      CHAR(36) NOT NULL,
  person_id     CHAR(36) NULL,
  season        YEAR NOT NULL,
  first_day     DATE NOT NULL,
  last_day      DATE NOT NULL DEFAULT '9999-12-31',
  begins        TIME(3) NOT NULL,
  reminder      TIME NULL COMMENT 'Relative to the beginning: below zero is before it',
  effort        TIME NULL COMMENT 'Working time, may exceed a day',
  people        TINYINT UNSIGNED NOT NULL DEFAULT 1,
  `order`       TINYINT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  KEY by_space (space_id, first_day),
  KEY by_person (person_id),
  CONSTRAINT booking_of_space FOREIGN KEY (space_id) REFERENCES space (id) ON DELETE CASCADE,
  CONSTRAINT booking_person FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE metric_sample (
  taken_at      DATETIME(6) NOT NULL,
  organisation_id INT UNSIGNED NULL,
  name          VARCHAR(80) NOT NULL,
  value         DOUBLE NULL,
  share         FLOAT NOT NULL DEFAULT 0,
  flags         BIT(8) NULL,
  KEY by_time (taken_at DESC),
  CONSTRAINT metric_organisation FOREIGN KEY (organisation_id) REFERENCES organisation (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='No key: a sample may repeat';

CREATE TABLE legacy_contact (
  id            INT NOT NULL AUTO_INCREMENT,
  name          VARCHAR(120) NOT NULL,
  street        VARCHAR(120) NULL,
  remark        TEXT NULL,
  imported_from CHAR(36) NOT NULL DEFAULT '' COMMENT 'Key in the former system, or a file name',
  PRIMARY KEY (id),
  KEY by_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='Taken over from the former address book';

CREATE TABLE export_job (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  requested_by  CHAR(36) NOT NULL,
  options       JSON NULL,
  finished_at   DATETIME(6) NULL,
  PRIMARY KEY (id),
  CONSTRAINT export_by_person FOREIGN KEY (requested_by) REFERENCES person (id) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=5001 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
  COMMENT='Emptied every night; the numbers go on';

CREATE TABLE audit_log (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  occurred_at   DATETIME(6) NOT NULL,
  received_at   TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  actor_id      CHAR(36) NULL,
  action        ENUM('create','read','update','delete','sign in','sign out') NOT NULL,
  subject       VARCHAR(64) NOT NULL,
  subject_id    VARCHAR(64) NULL,
  request_id    BINARY(16) NULL,
  milliseconds  MEDIUMINT UNSIGNED NULL,
  detail        JSON NULL,
  PRIMARY KEY (id),
  KEY by_subject (subject, subject_id),
  KEY by_actor (actor_id, occurred_at DESC),
  CONSTRAINT audit_actor FOREIGN KEY (actor_id) REFERENCES person (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE VIEW space_overview AS
  SELECT s.id, s.title, o.legal_name, COUNT(a.id) AS articles, MAX(a.published_at) AS newest
  FROM space s
  JOIN organisation o ON o.id = s.organisation_id
  LEFT JOIN article a ON a.space_id = s.id
  GROUP BY s.id, s.title, o.legal_name;

CREATE VIEW open_amount AS
  SELECT o.id, o.legal_name, i.currency, COUNT(*) AS invoices, SUM(i.gross) AS amount
  FROM organisation o
  JOIN invoice i ON i.organisation_id = o.id
  WHERE i.state = 'open' OR i.state = 'overdue'
  GROUP BY o.id, o.legal_name, i.currency;

CREATE TRIGGER person_locked AFTER UPDATE ON person FOR EACH ROW
  INSERT INTO audit_log (occurred_at, actor_id, action, subject, subject_id)
  SELECT NOW(6), NEW.id, 'update', 'person', NEW.id FROM DUAL WHERE NEW.status = 'locked';

CREATE PROCEDURE revoke_sessions (IN opened_before TIMESTAMP)
  UPDATE login_session SET revoked = 1 WHERE opened_at < opened_before AND revoked = 0;
