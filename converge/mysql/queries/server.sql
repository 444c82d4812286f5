SELECT VERSION(), @@version_comment, USER(), @@global.sql_mode,
       CONCAT(@@global.time_zone, IF(@@global.time_zone = 'SYSTEM', CONCAT(' (', @@system_time_zone, ')'), '')),
       CONCAT(@@character_set_server, ' ', @@collation_server),
       CONCAT(@@character_set_database, ' ', @@collation_database),
       @@global.max_allowed_packet, IF(@@log_bin, @@global.binlog_format, 'OFF'), @@global.gtid_mode,
       @@global.max_connections, @@session.max_user_connections
