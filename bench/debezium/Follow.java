import io.debezium.connector.jdbc.JdbcSinkConnectorTask;
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.DebeziumEngine.ChangeConsumer;
import io.debezium.engine.DebeziumEngine.RecordCommitter;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Debezium's embedded engine with its MySQL connector, whose records go to its own JDBC sink, without Kafka:
 * java Follow MYSQL_URL POSTGRESQL_URL FOLDER [KEY=VALUE …], where keys of the sink begin with "sink.".
 */
public class Follow implements ChangeConsumer<RecordChangeEvent<SourceRecord>> {
    private final JdbcSinkConnectorTask sink = new JdbcSinkConnectorTask();
    private long offset;

    public static void main(String[] arguments) throws Exception {
        URI source = URI.create(arguments[0]);
        Path folder = Path.of(arguments[2]);
        Properties engine = new Properties();
        String database = source.getPath().substring(1);
        engine.putAll(Map.of(
                "name", "follow",
                "connector.class", "io.debezium.connector.mysql.MySqlConnector",
                "database.hostname", source.getHost(),
                "database.port", String.valueOf(source.getPort()),
                "database.user", source.getUserInfo(),
                "database.server.id", "4711",
                "database.include.list", database,
                "topic.prefix", "follow",
                "snapshot.mode", "initial"));
        engine.putAll(Map.of(
                "offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore",
                "offset.storage.file.filename", folder.resolve("offsets").toString(),
                "schema.history.internal", "io.debezium.storage.file.history.FileSchemaHistory",
                "schema.history.internal.file.filename", folder.resolve("history").toString(),
                "schema.history.internal.store.only.captured.tables.ddl", "true",
                "include.schema.changes", "false",
                "skipped.operations", "none",
                "tombstones.on.delete", "false"));
        URI target = URI.create(arguments[1]);
        Map<String, String> sink = new HashMap<>(Map.of(
                "name", "sink",
                "connection.url", "jdbc:postgresql://" + target.getAuthority().split("@")[1] + target.getPath()
                        + (target.getQuery() == null ? "" : "?" + target.getQuery()),
                "connection.username", target.getUserInfo(),
                "connection.password", "",
                "insert.mode", "upsert",
                "delete.enabled", "true",
                "truncate.enabled", "true",
                "primary.key.mode", "record_key",
                "schema.evolution", "basic",
                "collection.name.format", "${source.table}"));
        for (String setting : List.of(arguments).subList(3, arguments.length)) {
            String[] parts = setting.split("=", 2);
            if (parts[0].startsWith("sink.")) {
                sink.put(parts[0].substring(5), parts[1]);
            } else {
                engine.put(parts[0], parts[1]);
            }
        }
        Follow follow = new Follow();
        follow.sink.start(sink);
        DebeziumEngine<?> running = DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                .using(engine)
                .using((success, message, error) -> {
                    System.err.println("ended: " + message + " " + error);
                    System.exit(success ? 0 : 1);
                })
                .notifying(follow)
                .build();
        running.run();
    }

    @Override
    public void handleBatch(List<RecordChangeEvent<SourceRecord>> events,
            RecordCommitter<RecordChangeEvent<SourceRecord>> committer) throws InterruptedException {
        List<SinkRecord> records = new ArrayList<>(events.size());
        for (RecordChangeEvent<SourceRecord> event : events) {
            SourceRecord record = event.record();
            records.add(new SinkRecord(record.topic(), 0, record.keySchema(), record.key(),
                    record.valueSchema(), record.value(), offset++));
        }
        sink.put(records);
        if (sink.getLastProcessingException() != null) {
            throw new IllegalStateException(sink.getLastProcessingException());
        }
        for (RecordChangeEvent<SourceRecord> event : events) {
            committer.markProcessed(event);
        }
        committer.markBatchFinished();
    }

    @Override
    public boolean supportsTombstoneEvents() {
        return false;
    }
}
