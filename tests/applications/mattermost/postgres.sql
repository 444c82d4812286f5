-- The tables of mysql.sql as Mattermost has them here, with what its migrations and a first start seed: written for this test.
CREATE TYPE team_type AS ENUM ('I', 'O');
CREATE TYPE channel_type AS ENUM ('P', 'G', 'O', 'D');
CREATE TYPE channel_bookmark_type AS ENUM ('link', 'file');
CREATE TYPE outgoingoauthconnections_granttype AS ENUM ('client_credentials', 'password');
CREATE TABLE db_migrations (version bigint PRIMARY KEY, name varchar NOT NULL);
INSERT INTO db_migrations VALUES (92, 'add_createat_to_teamembers'), (141, 'last');
CREATE TABLE systems (name varchar(64) PRIMARY KEY, value varchar(1024));
INSERT INTO systems VALUES ('DiagnosticId', 'of the target'), ('OnlyHere', 'true');
CREATE TABLE users (
    id varchar(26) PRIMARY KEY, createat bigint, deleteat bigint, username varchar(64) UNIQUE, authservice varchar(32),
    email varchar(128) UNIQUE, emailverified boolean, roles varchar(256), props jsonb, timezone jsonb, failedattempts int);
CREATE INDEX idx_users_names ON users USING gin (to_tsvector('english', username || ' ' || email));
INSERT INTO users (id, username) VALUES ('seededbot', 'system-bot');
CREATE TABLE bots (userid varchar(26) PRIMARY KEY, description varchar(1024), ownerid varchar(190));
INSERT INTO bots VALUES ('seededbot', '', '');
CREATE TABLE teams (
    id varchar(26) PRIMARY KEY, deleteat bigint, name varchar(64) UNIQUE, type team_type, alloweddomains varchar(1000),
    cloudlimitsarchived boolean NOT NULL DEFAULT false);
CREATE TABLE teammembers (
    teamid varchar(26), userid varchar(26), deleteat bigint, schemeuser boolean, schemeadmin boolean, schemeguest boolean,
    PRIMARY KEY (teamid, userid));
CREATE TABLE channels (
    id varchar(26) PRIMARY KEY, deleteat bigint, teamid varchar(26), type channel_type, name varchar(64),
    header varchar(1024), shared boolean, bannerinfo jsonb, UNIQUE (name, teamid));
CREATE TABLE channelmembers (
    channelid varchar(26), userid varchar(26), notifyprops jsonb, schemeuser boolean, schemeadmin boolean,
    schemeguest boolean, PRIMARY KEY (channelid, userid));
CREATE TABLE posts (
    id varchar(26) PRIMARY KEY, createat bigint, deleteat bigint, userid varchar(26), channelid varchar(26),
    rootid varchar(26), message varchar(65535), props jsonb, fileids varchar(300), ispinned boolean);
CREATE INDEX idx_posts_message_txt ON posts USING gin (to_tsvector('english', message));
CREATE MATERIALIZED VIEW poststats AS
    SELECT userid, to_timestamp(createat / 1000)::date AS day, count(*) AS numposts FROM posts GROUP BY 1, 2;
CREATE TABLE threads (postid varchar(26) PRIMARY KEY, replycount bigint, participants jsonb);
CREATE TABLE fileinfo (
    id varchar(26) PRIMARY KEY, name varchar(256), minipreview bytea, content text, archived boolean NOT NULL DEFAULT false);
CREATE TABLE channelbookmarks (
    id varchar(26) PRIMARY KEY, sortorder integer DEFAULT 0, type channel_bookmark_type DEFAULT 'link');
CREATE TABLE outgoingoauthconnections (
    id varchar(26) PRIMARY KEY, granttype outgoingoauthconnections_granttype DEFAULT 'client_credentials');
CREATE TABLE propertyvalues (
    id varchar(26) PRIMARY KEY, targetid varchar(255) NOT NULL, fieldid varchar(26) NOT NULL, value jsonb NOT NULL,
    deleteat bigint NOT NULL);
CREATE UNIQUE INDEX idx_propertyvalues_unique ON propertyvalues (targetid, fieldid) WHERE deleteat = 0;
CREATE TABLE recentsearches (userid char(26), searchpointer int, query jsonb, PRIMARY KEY (userid, searchpointer));
CREATE TABLE retentionidsfordeletion (id varchar(26) PRIMARY KEY, tablename varchar(64), ids varchar(26)[]);
