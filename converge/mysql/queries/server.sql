SELECT VERSION() AS version, @@version_comment AS distribution, USER() AS login, @@global.sql_mode AS sql_mode,
       CONCAT(@@global.time_zone,
              IF(@@global.time_zone = 'SYSTEM', CONCAT(' (', @@system_time_zone, ')'), '')) AS time_zone,
       CONCAT(@@character_set_server, ' ', @@collation_server) AS server_charset,
       CONCAT(@@character_set_database, ' ', @@collation_database) AS database_charset,
       @@global.max_allowed_packet AS max_allowed_packet,
       IF(@@log_bin, @@global.binlog_format, 'OFF') AS binary_log, @@global.gtid_mode AS gtid_mode,
       @@global.binlog_expire_logs_seconds AS binary_log_seconds,
       @@global.max_connections AS max_connections, @@session.max_user_connections AS user_connections
