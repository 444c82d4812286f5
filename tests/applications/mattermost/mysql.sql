-- Some of Mattermost's tables, with the columns in which its schemas of the two servers differ: written for this test.
CREATE TABLE db_migrations (Version BIGINT NOT NULL PRIMARY KEY, Name VARCHAR(64) NOT NULL);
CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty TINYINT(1) NOT NULL);
CREATE TABLE Configurations (Id VARCHAR(26) PRIMARY KEY, Value MEDIUMTEXT NOT NULL, CreateAt BIGINT NOT NULL);
CREATE TABLE db_config_migrations (Version BIGINT NOT NULL PRIMARY KEY, Name VARCHAR(64) NOT NULL);
CREATE TABLE Systems (Name VARCHAR(64) NOT NULL PRIMARY KEY, Value TEXT);
CREATE TABLE Users (
    Id VARCHAR(26) NOT NULL PRIMARY KEY, CreateAt BIGINT, DeleteAt BIGINT, Username VARCHAR(64), AuthService VARCHAR(32),
    Email VARCHAR(128), EmailVerified TINYINT(1), Roles TEXT, Props JSON, Timezone JSON, FailedAttempts INT,
    UNIQUE KEY Username (Username), UNIQUE KEY Email (Email));
CREATE TABLE Bots (UserId VARCHAR(26) NOT NULL PRIMARY KEY, Description TEXT, OwnerId VARCHAR(190));
CREATE TABLE Teams (
    Id VARCHAR(26) NOT NULL PRIMARY KEY, DeleteAt BIGINT, Name VARCHAR(64), Type ENUM('I', 'O'), AllowedDomains TEXT,
    CloudLimitsArchived TINYINT(1) NOT NULL DEFAULT 0, UNIQUE KEY Name (Name));
CREATE TABLE TeamMembers (
    TeamId VARCHAR(26) NOT NULL, UserId VARCHAR(26) NOT NULL, DeleteAt BIGINT, SchemeUser TINYINT, SchemeAdmin TINYINT,
    SchemeGuest TINYINT, PRIMARY KEY (TeamId, UserId));
CREATE TABLE Channels (
    Id VARCHAR(26) NOT NULL PRIMARY KEY, DeleteAt BIGINT, TeamId VARCHAR(26), Type ENUM('D', 'O', 'G', 'P'),
    Name VARCHAR(64), Header TEXT, Shared TINYINT(1), BannerInfo JSON, UNIQUE KEY Name (Name, TeamId));
CREATE TABLE ChannelMembers (
    ChannelId VARCHAR(26) NOT NULL, UserId VARCHAR(26) NOT NULL, NotifyProps JSON, SchemeUser TINYINT,
    SchemeAdmin TINYINT, SchemeGuest TINYINT, PRIMARY KEY (ChannelId, UserId));
CREATE TABLE Posts (
    Id VARCHAR(26) NOT NULL PRIMARY KEY, CreateAt BIGINT, DeleteAt BIGINT, UserId VARCHAR(26), ChannelId VARCHAR(26),
    RootId VARCHAR(26), Message TEXT, Props JSON, FileIds TEXT, IsPinned TINYINT(1), FULLTEXT KEY message (Message));
CREATE TABLE Threads (PostId VARCHAR(26) NOT NULL PRIMARY KEY, ReplyCount BIGINT, Participants JSON);
CREATE TABLE FileInfo (
    Id VARCHAR(26) NOT NULL PRIMARY KEY, Name TEXT, MiniPreview MEDIUMBLOB, Content LONGTEXT,
    Archived TINYINT(1) NOT NULL DEFAULT 0);
CREATE TABLE ChannelBookmarks (Id VARCHAR(26) NOT NULL PRIMARY KEY, SortOrder BIGINT DEFAULT 0, Type ENUM('link', 'file'));
CREATE TABLE OutgoingOAuthConnections (
    Id VARCHAR(26) NOT NULL PRIMARY KEY, GrantType VARCHAR(32) DEFAULT 'client_credentials');
CREATE TABLE PropertyValues (
    ID VARCHAR(26) NOT NULL PRIMARY KEY, TargetID VARCHAR(255) NOT NULL, FieldID VARCHAR(26) NOT NULL, Value JSON,
    DeleteAt BIGINT, UNIQUE KEY once (TargetID, FieldID, DeleteAt));
CREATE TABLE RecentSearches (UserId CHAR(26) NOT NULL, SearchPointer INT NOT NULL, Query JSON, PRIMARY KEY (UserId, SearchPointer));
CREATE TABLE RetentionIdsForDeletion (Id VARCHAR(26) NOT NULL PRIMARY KEY, TableName VARCHAR(64), Ids JSON);
