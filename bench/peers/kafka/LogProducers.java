import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka producers in a closed loop: each has one batch under way and sends the next when the last is
 * acknowledged. One process for all measurements, so that the JVM is warm.
 *
 * <p>LogProducers BOOTSTRAP, then a line per measurement on standard input:
 *
 * <p>TOPIC PRODUCERS EVENT_BYTES BATCH_EVENTS WARM_UP_S SECONDS SHARING
 *
 * <p>SHARING is `own` (a client for each producer) or `shared` (one client for all threads, which
 * gathers their events into common batches). A batch of more than one event is sent, then flushed, so
 * that it leaves as one request however long `linger.ms` is; a single event leaves at once
 * (`linger.ms=0`). Answers a line of JSON, or `failed REASON`.
 */
public class LogProducers {
  private static final int REQUEST_BYTES_MAX = 8 << 20;
  private static final int BATCHES_OF_EACH = 4; // at least, however long they take
  private static final long PATIENCE_NS = 20_000_000_000L;

  record Load(
      String topic, int producers, int eventBytes, int batch, double warmUp, double seconds, boolean shared) {
    static Load parse(String line) {
      String[] w = line.trim().split(" ");
      return new Load(w[0], Integer.parseInt(w[1]), Integer.parseInt(w[2]), Integer.parseInt(w[3]),
          Double.parseDouble(w[4]), Double.parseDouble(w[5]), w[6].equals("shared"));
    }
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      System.out.println(measure(arguments[0], Load.parse(line)));
      System.out.flush();
    }
  }

  private static KafkaProducer<byte[], byte[]> connect(String bootstrap, Load load) {
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    p.put("acks", "all");
    p.put("linger.ms", load.batch == 1 ? "0" : "1000");
    p.put("batch.size", String.valueOf(Math.max(16384, load.batch * (load.eventBytes + 64))));
    p.put("max.request.size", String.valueOf(REQUEST_BYTES_MAX));
    p.put("key.serializer", ByteArraySerializer.class.getName());
    p.put("value.serializer", ByteArraySerializer.class.getName());
    return new KafkaProducer<>(p);
  }

  private static String measure(String bootstrap, Load load) throws Exception {
    List<KafkaProducer<byte[], byte[]>> clients = new ArrayList<>();
    for (int i = 0; i < (load.shared ? 1 : load.producers); i++) clients.add(connect(bootstrap, load));
    for (KafkaProducer<byte[], byte[]> client : clients) client.partitionsFor(load.topic);
    long begin = System.nanoTime();
    long from = begin + (long) (load.warmUp * 1e9);
    long until = from + (long) (load.seconds * 1e9);
    AtomicLong last = new AtomicLong(until);
    AtomicReference<Exception> failure = new AtomicReference<>();
    List<List<Long>> latencies = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < load.producers; i++) {
      List<Long> mine = new ArrayList<>();
      latencies.add(mine);
      KafkaProducer<byte[], byte[]> client = clients.get(load.shared ? 0 : i);
      threads.add(new Thread(() -> produce(client, load, from, until, mine, last, failure)));
    }
    for (Thread thread : threads) thread.start();
    for (Thread thread : threads) thread.join();
    for (KafkaProducer<byte[], byte[]> client : clients) client.close();
    if (failure.get() != null) return "failed " + failure.get();
    double seconds = (last.get() - from) / 1e9;
    return report(
        load, seconds, latencies.stream().flatMap(List::stream).mapToLong(Long::longValue).toArray());
  }

  private static void produce(KafkaProducer<byte[], byte[]> client, Load load, long from, long until,
      List<Long> latencies, AtomicLong last, AtomicReference<Exception> failure) {
    byte[] event = new byte[load.eventBytes];
    Arrays.fill(event, (byte) 'x');
    try {
      while (failure.get() == null) {
        long sent = System.nanoTime();
        if (sent >= until && (latencies.size() >= BATCHES_OF_EACH || sent >= until + PATIENCE_NS)) return;
        if (load.batch == 1) {
          client.send(new ProducerRecord<>(load.topic, event)).get();
        } else {
          for (int i = 0; i < load.batch; i++)
            client.send(new ProducerRecord<>(load.topic, event), (metadata, error) -> {
              if (error != null) failure.compareAndSet(null, error);
            });
          client.flush();
        }
        long now = System.nanoTime();
        if (now < from) continue;
        latencies.add(now - sent);
        last.accumulateAndGet(now, Math::max);
      }
    } catch (Exception error) {
      failure.compareAndSet(null, error);
    }
  }

  private static String report(Load load, double seconds, long[] nanos) {
    if (nanos.length == 0) return "failed nothing was acknowledged in time";
    Arrays.sort(nanos);
    return String.format(Locale.ROOT,
        "{\"batches\":%d,\"events_per_s\":%.1f,\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"worst_ms\":%.4f}",
        nanos.length, nanos.length * (double) load.batch / seconds, at(nanos, 0.5), at(nanos, 0.99),
        nanos[nanos.length - 1] / 1e6);
  }

  private static double at(long[] ordered, double share) {
    return ordered[Math.min(ordered.length - 1, (int) (ordered.length * share))] / 1e6;
  }
}
