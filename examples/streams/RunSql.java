import java.nio.file.*;
import org.apache.flink.table.api.*;

/** Tries files of Flink SQL without a cluster, in this process. Prints the changes of every SELECT, then --. */
public class RunSql {
    public static void main(String[] files) throws Exception {
        var tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        tables.getConfig().set("parallelism.default", "1").set("table.local-time-zone", "UTC");
        for (String file : files) {
            for (String statement : Files.readString(Path.of(file)).split(";\\s*(\\n|$)")) {
                if (statement.isBlank()) continue;
                TableResult result = tables.executeSql(statement);
                if (result.getResultKind() != ResultKind.SUCCESS_WITH_CONTENT) continue;
                result.collect().forEachRemaining(System.out::println);
                System.out.println("--");
            }
        }
    }
}
