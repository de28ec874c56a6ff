import java.io.RandomAccessFile;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * TrailingWindows FILE EVENTS MODE: count and sum of a card's trailing hour and day as of every
 * event, in one JVM (MiniCluster, parallelism 2, heap state, no checkpoints). Prints a JSON line.
 *
 * over    SQL, OVER RANGE, exact, into a table that throws everything away
 * checked the same, and each answer is folded into a digest; the heap when nine tenths are answered
 * ring    a hand-written function: a ring of 5-minute panes a card with running totals; windows
 *         begin at the first full five minutes inside them
 * ringed  the same, and each answer is folded into a digest; the heap when nine tenths are answered
 * source  the file and keyBy alone: no faster job is possible
 *
 * A window is (as of - length, as of]: SQL's RANGE has both ends, so its interval is a millisecond
 * shorter. No two events have the same time, so there are no peers of a row.
 */
public final class TrailingWindows {
  private static final int EVENT_BYTES = 24;
  private static final String[] INTERVALS = {
    "INTERVAL '00:59:59.999' HOUR TO SECOND", "INTERVAL '0 23:59:59.999' DAY TO SECOND(3)"
  };
  private static MappedByteBuffer mapped;

  private static synchronized MappedByteBuffer map(String file) throws Exception {
    if (mapped == null) {
      try (RandomAccessFile opened = new RandomAccessFile(file, "r")) {
        mapped = opened.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, opened.length());
        mapped.order(ByteOrder.LITTLE_ENDIAN);
      }
    }
    return mapped;
  }

  private static Tuple3<Long, Long, Double> event(String file, long number) throws Exception {
    MappedByteBuffer bytes = map(file);
    int at = (int) (number * EVENT_BYTES);
    return Tuple3.of(bytes.getLong(at), bytes.getLong(at + 8), bytes.getDouble(at + 16));
  }

  /** What came out: filled by both sinks' threads, in this JVM. */
  private static final class Answers {
    static final AtomicLong count = new AtomicLong();
    static final AtomicLong digest = new AtomicLong();
    static volatile long heapAt = Long.MAX_VALUE;
    static volatile long heapBytes = -1;

    /** As bench/features/moving_windows.cc. */
    static long mix(long atMs, long window, long events, long cents) {
      long mixed = atMs * 0x9e3779b97f4a7c15L + window;
      for (long next : new long[] {events, cents}) {
        mixed = (mixed ^ next) * 0xbf58476d1ce4e5b9L;
        mixed ^= mixed >>> 29;
      }
      return mixed;
    }

    static void take(long atMs, long window, long events, double sum) {
      digest.addAndGet(mix(atMs, window, events, Math.round(sum * 100)));
      if (count.incrementAndGet() == heapAt) {
        heapBytes = heapInUse();
      }
    }

    static int takeRing(Tuple5<Long, Long, Double, Long, Double> answer) {
      take(answer.f0, 0, answer.f1, answer.f2);
      take(answer.f0, 1, answer.f3, answer.f4);
      return 0;
    }

    static long heapInUse() {
      for (int i = 0; i < 3; i++) {
        System.gc();
      }
      return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
  }

  /** Panes of 5 minutes, and the totals of the last 12 and the last 288 of them. */
  public static class Ring {
    public long last = Long.MIN_VALUE;
    public int[] counts = new int[288];
    public double[] sums = new double[288];
    public long hourCount;
    public long dayCount;
    public double hourSum;
    public double daySum;
  }

  public static class RingFunction
      extends KeyedProcessFunction<
          Long, Tuple3<Long, Long, Double>, Tuple5<Long, Long, Double, Long, Double>> {
    private transient ValueState<Ring> state;

    @Override
    public void open(OpenContext context) {
      state =
          getRuntimeContext().getState(new ValueStateDescriptor<>("ring", Types.POJO(Ring.class)));
    }

    @Override
    public void processElement(
        Tuple3<Long, Long, Double> event,
        Context context,
        Collector<Tuple5<Long, Long, Double, Long, Double>> out)
        throws Exception {
      Ring ring = state.value();
      if (ring == null) {
        ring = new Ring();
        state.update(ring);
      }
      long pane = event.f1 / 300_000;
      if (ring.last == Long.MIN_VALUE || pane - ring.last >= 288) {
        Arrays.fill(ring.counts, 0);
        Arrays.fill(ring.sums, 0);
        ring.hourCount = ring.dayCount = 0;
        ring.hourSum = ring.daySum = 0;
        ring.last = pane;
      }
      while (ring.last < pane) {
        long next = ++ring.last;
        int day = (int) (next % 288);
        int hour = (int) ((next - 12 + 288) % 288);
        ring.dayCount -= ring.counts[day];
        ring.daySum -= ring.sums[day];
        ring.counts[day] = 0;
        ring.sums[day] = 0;
        ring.hourCount -= ring.counts[hour];
        ring.hourSum -= ring.sums[hour];
      }
      int at = (int) (pane % 288);
      ring.counts[at]++;
      ring.sums[at] += event.f2;
      ring.hourCount++;
      ring.hourSum += event.f2;
      ring.dayCount++;
      ring.daySum += event.f2;
      out.collect(
          Tuple5.of(event.f1, ring.hourCount, ring.hourSum, ring.dayCount, ring.daySum));
    }
  }

  private static StreamExecutionEnvironment environment() {
    Configuration settings = new Configuration();
    settings.setString("state.backend.type", "hashmap");
    settings.setString("taskmanager.memory.managed.size", "1g");
    settings.setString("taskmanager.numberOfTaskSlots", "2");
    settings.setString("pipeline.object-reuse", "true");
    settings.setString("heartbeat.timeout", "600000"); // a collection may take long
    settings.setString("rest.address", "127.0.0.1");
    settings.setString("rest.bind-address", "127.0.0.1");
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(settings);
    environment.setParallelism(2);
    return environment;
  }

  private static void over(
      StreamExecutionEnvironment environment,
      DataStream<Tuple3<Long, Long, Double>> events,
      boolean checked)
      throws Exception {
    StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
    Schema schema =
        Schema.newBuilder()
            .column("f0", "BIGINT")
            .column("f1", "BIGINT")
            .column("f2", "DOUBLE")
            .columnByExpression("ts", "TO_TIMESTAMP_LTZ(f1, 3)")
            .watermark("ts", "ts - INTERVAL '5' SECOND")
            .build();
    tables.createTemporaryView("events", tables.fromDataStream(events, schema));
    tables.executeSql(
        "CREATE TEMPORARY TABLE nowhere (at_ms BIGINT, c BIGINT, s DOUBLE)"
            + " WITH ('connector' = 'blackhole')");
    StatementSet inserts = tables.createStatementSet();
    for (int window = 0; window < INTERVALS.length; window++) {
      String query =
          "SELECT f1, COUNT(*) OVER w, SUM(f2) OVER w FROM events WINDOW w AS (PARTITION BY f0"
              + " ORDER BY ts RANGE BETWEEN "
              + INTERVALS[window]
              + " PRECEDING AND CURRENT ROW)";
      if (checked) {
        final long number = window;
        tables
            .toDataStream(tables.sqlQuery(query))
            .map(
                (Row row) -> {
                  Answers.take(
                      (Long) row.getField(0),
                      number,
                      (Long) row.getField(1),
                      (Double) row.getField(2));
                  return 0;
                })
            .returns(Types.INT)
            .sinkTo(new DiscardingSink<>());
      } else {
        inserts.addInsertSql("INSERT INTO nowhere " + query);
      }
    }
    if (checked) {
      environment.execute();
    } else {
      inserts.execute().await();
    }
  }

  public static void main(String[] arguments) throws Exception {
    final String file = arguments[0];
    final long events = Long.parseLong(arguments[1]);
    final String mode = arguments[2];
    StreamExecutionEnvironment environment = environment();
    TypeInformation<Tuple3<Long, Long, Double>> type =
        Types.TUPLE(Types.LONG, Types.LONG, Types.DOUBLE);
    GeneratorFunction<Long, Tuple3<Long, Long, Double>> read = number -> event(file, number);
    // One source, as the file is one log in order of time.
    DataStream<Tuple3<Long, Long, Double>> stream =
        environment
            .fromSource(
                new DataGeneratorSource<>(read, events, type),
                WatermarkStrategy.<Tuple3<Long, Long, Double>>forBoundedOutOfOrderness(
                        Duration.ofSeconds(5))
                    .withTimestampAssigner((event, before) -> event.f1),
                "events")
            .setParallelism(1);
    long heapBefore =
        mode.equals("checked") || mode.equals("ringed") ? Answers.heapInUse() : 0;
    Answers.heapAt = INTERVALS.length * events * 9 / 10;
    long begin = System.nanoTime();
    switch (mode) {
      case "over" -> over(environment, stream, false);
      case "checked" -> over(environment, stream, true);
      case "ring", "ringed" -> {
        DataStream<Tuple5<Long, Long, Double, Long, Double>> answers =
            stream
                .keyBy(event -> event.f0, Types.LONG)
                .process(new RingFunction())
                .returns(
                    Types.TUPLE(Types.LONG, Types.LONG, Types.DOUBLE, Types.LONG, Types.DOUBLE));
        if (mode.equals("ringed")) {
          answers
              .map(answer -> Answers.takeRing(answer))
              .returns(Types.INT)
              .sinkTo(new DiscardingSink<>());
        } else {
          answers.sinkTo(new DiscardingSink<>());
        }
        environment.execute();
      }
      case "source" -> {
        stream
            .keyBy(event -> event.f0, Types.LONG)
            .map(event -> event.f2)
            .returns(Types.DOUBLE)
            .sinkTo(new DiscardingSink<>());
        environment.execute();
      }
      default -> throw new IllegalArgumentException(mode);
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    System.out.printf(
        "{\"mode\": \"%s\", \"events\": %d, \"seconds\": %.3f, \"events_per_s\": %.0f,"
            + " \"answers\": %d, \"digest\": \"%016x\", \"heap_bytes\": %d}%n",
        mode,
        events,
        seconds,
        events / seconds,
        Answers.count.get(),
        Answers.digest.get(),
        Answers.heapBytes - heapBefore);
    System.exit(0);
  }
}
