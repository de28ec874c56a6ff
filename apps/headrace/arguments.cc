#include "arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "text_file.h"
#include "usage_errors.h"

namespace headrace::app {
namespace {

constexpr std::string_view kOverview =
    R"(Headrace takes events in once, and gives features, an open table and training sets back from one log.

  headrace check pipeline.yaml                     what is wrong with it, and where
  headrace serve pipeline.yaml --data ./data       runs it; Ctrl-C stops it
  headrace ingest flights flights.parquet          a file into a stream
  headrace get origin origin=ORD                   an answer
  headrace status                                  is it well?
  headrace apply pipeline.yaml                     changes what is running, while it runs

All commands: headrace help. One command: headrace help ingest.
)";

void AddAddress(CLI::App& command, const std::string& name, const std::string& what,
                Address& address) {
  const std::string shown = address.ToString();
  command
      .add_option_function<std::string>(
          name,
          [&address](const std::string& text) {
            auto parsed = ParseAddress(text, address);
            if (!parsed) throw CLI::ValidationError(parsed.error().message());
            address = std::move(*parsed);
          },
          fmt::format("{} (default {})", what, shown))
      ->type_name("HOST:PORT");
}

// Where a server is to listen: TLS is an option of its own there.
void AddListenAddress(CLI::App& command, const std::string& name, const std::string& what,
                      Address& address) {
  AddAddress(command, name, what, address);
  command.get_option(name)->check([](const std::string& text) -> std::string {
    if (text.find("://") != std::string::npos) return "HOST:PORT; for TLS give --tls-cert";
    // A word alone is more likely a mistake than a machine's name.
    const bool word = text.find_first_of(".:") == std::string::npos && text != "localhost" &&
                      text.find_first_not_of("0123456789") != std::string::npos;
    return word ? fmt::format("`{}` is no HOST:PORT, such as 127.0.0.1:6566", text) : "";
  });
}

template <typename Duration>
void AddDuration(CLI::App& command, const std::string& name, const std::string& what,
                 Duration& duration) {
  command
      .add_option_function<std::string>(
          name,
          [&duration](const std::string& text) {
            const auto parsed = base::ParseDuration(text);
            if (!parsed) throw CLI::ValidationError(parsed.error().message());
            duration = *parsed;
          },
          what)
      ->type_name("DURATION");
}

}  // namespace

struct Arguments::Impl {
  CLI::App program{"Events in once; features, open tables and training sets out, from one log.",
                   "headrace"};
  bool json = false;
  std::function<int(CommandContext&)> run;
  std::string reference_file;
  TlsClientFiles tls_files;
  std::vector<Address*> called;  // addresses of engines that commands call

  CheckOptions check;
  ServeOptions serve;
  IngestOptions ingest;
  GetOptions get;
  EventsOptions events;
  DeadLettersOptions dead_letters;
  ReplayOptions replay;
  StatusOptions status;
  DiffOptions diff;
  ApplyOptions apply;
  RollbackOptions rollback;
  TrainOptions train;
  VerifyOptions verify;
  LogInspectOptions log_inspect;
  LogCheckOptions log_check;
  LogForkOptions log_fork;
  ScanOptions scan;
  DoctorOptions doctor;
  TablesOptions tables;
  OptimizeOptions optimize;
  VacuumOptions vacuum;
  TableDiffOptions table_diff;
  ExplainOptions explain;
  TokenCreateOptions token_create;

  Impl();
  CLI::App& Add(const std::string& name, const std::string& says,
                std::function<int(CommandContext&)> body);
  CLI::App& Add(CLI::App& parent, const std::string& name, const std::string& says,
                std::function<int(CommandContext&)> body);
  void AddCalled(CLI::App& command, const std::string& name, const std::string& what,
                 Address& address);
  void AddCheck();
  void AddServe();
  void AddIngest();
  void AddGet();
  void AddEvents();
  void AddLooks();
  void AddChanges();
  void AddTraining();
  void AddLog();
  void AddScan();
  void AddTables();
  void AddTokens();
  void AddExplain();
  int Help(std::span<const char* const> words, CommandContext& context);
  int Complain(const CLI::ParseError& error, CommandContext& context);
  int CompareReference(CommandContext& context, const std::string& text) const;
};

CLI::App& Arguments::Impl::Add(const std::string& name, const std::string& says,
                               std::function<int(CommandContext&)> body) {
  return Add(program, name, says, std::move(body));
}

CLI::App& Arguments::Impl::Add(CLI::App& parent, const std::string& name, const std::string& says,
                               std::function<int(CommandContext&)> body) {
  CLI::App* command = parent.add_subcommand(name, says);
  command->add_flag("--json", json, "One JSON document on the last line of standard output");
  // Of a command and a part of it, both of which do something, the part was meant.
  command->callback([this, command, body = std::move(body)] {
    if (command->get_subcommands().empty()) run = body;
  });
  command->footer("What an error code means: headrace explain CODE");
  return *command;
}

void Arguments::Impl::AddCalled(CLI::App& command, const std::string& name, const std::string& what,
                                Address& address) {
  AddAddress(command, name, what, address);
  called.push_back(&address);
  command.footer(
      "An engine that wants a token is shown the one in the variable HEADRACE_TOKEN.\n"
      "What an error code means: headrace explain CODE");
  if (command.get_option_no_throw("--tls-ca") != nullptr) return;
  command
      .add_option("--tls-ca", tls_files.ca,
                  "Speak TLS, and believe servers with a certificate of this CA (PEM); https:// or "
                  "grpc+tls:// in an address alone believes whom the machine believes")
      ->type_name("FILE");
  command
      .add_option("--tls-cert", tls_files.cert,
                  "A client certificate (PEM), for an engine that asks for one")
      ->type_name("FILE");
  command.add_option("--tls-key", tls_files.key, "Its private key (PEM)")->type_name("FILE");
}

void Arguments::Impl::AddCheck() {
  CLI::App& command = Add("check", "Say what is wrong in a pipeline file and its contracts",
                          [this](CommandContext& context) { return RunCheck(check, context); });
  command.add_option("PIPELINE", check.pipeline, "The pipeline file")->required();
}

void Arguments::Impl::AddServe() {
  CLI::App& command = Add("serve", "Run a pipeline until SIGTERM or Ctrl-C",
                          [this](CommandContext& context) { return RunServe(serve, context); });
  command.add_option("PIPELINE", serve.pipeline, "The pipeline file")->required();
  command
      .add_option("--data", serve.data,
                  "Folder of the log and the tables; made when it is not there")
      ->required()
      ->type_name("DIR");
  AddListenAddress(
      command, "--http",
      "Where to listen for HTTP; the default port moves when it is taken, one given here does not",
      serve.http);
  AddListenAddress(command, "--flight", "Where to listen for Arrow Flight, likewise", serve.flight);
  AddListenAddress(command, "--resp", "Where to listen for clients of Redis, likewise", serve.resp);
  command.add_flag("--no-resp", serve.no_resp, "Do not listen for clients of Redis");
  command
      .add_option("--io-threads", serve.io_threads,
                  "Threads that take and answer requests over HTTP and of clients of Redis; unless "
                  "said one for every two cores, at most 8")
      ->type_name("N")
      ->check(CLI::Range(1, 64).description(""));
  AddDuration(command, "--busy-poll",
              "Threads that take and answer requests look out for more for so long before they "
              "sleep (100us, 1ms): answers come sooner, and they take a core each while there is "
              "traffic; off unless said",
              serve.busy_poll);
  command
      .add_option("--ready-file", serve.ready_file,
                  "Written when ready: {\"http\",\"flight\",\"resp\",\"log\",\"epoch\",\"pid\"}")
      ->type_name("FILE");
  command.add_option("--answers", serve.answers, "Log every answer here, for `headrace verify`")
      ->type_name("FILE");
  command
      .add_option("--tokens", serve.tokens,
                  "Ask everybody for a token of this file (headrace token create); needed to "
                  "listen anywhere but on the loopback")
      ->type_name("FILE");
  command
      .add_option("--tls-cert", serve.tls_cert,
                  "Speak TLS on all ports with this certificate (PEM; its own first, then those up "
                  "to its CA). The files are read again when they change")
      ->type_name("FILE");
  command
      .add_option("--tls-key", serve.tls_key,
                  "Its private key (PEM, without a passphrase, not readable by everybody)")
      ->type_name("FILE");
  command
      .add_option("--tls-client-ca", serve.tls_client_ca,
                  "Refuse every client that shows no certificate of this CA (PEM)")
      ->type_name("FILE");
  command.add_flag("--demo-faults", serve.demo_faults,
                   "Allow POST /debug/flip, which corrupts state on purpose");
  command.add_flag("--no-governor", serve.no_governor,
                   "Let background work (snapshots, tables, training) go on when answers are late; "
                   "to compare");
}

void Arguments::Impl::AddIngest() {
  CLI::App& command = Add("ingest",
                          "Send a file to a stream: .parquet over Arrow Flight, .ndjson over HTTP; "
                          "sent twice, it counts once",
                          [this](CommandContext& context) { return RunIngest(ingest, context); });
  command.add_option("STREAM", ingest.stream, "The stream")->required();
  command.add_option("FILE", ingest.file, "The file: .parquet, .ndjson or .jsonl")->required();
  AddCalled(command, "--flight", "The engine's Arrow Flight address", ingest.flight);
  AddCalled(command, "--http", "The engine's HTTP address", ingest.http);
  command
      .add_option("--producer", ingest.producer,
                  "Name under which batches are numbered; by default of the file's name and "
                  "content and the cut into batches. "
                  "Use the same --batch, --rate, --skip and --limit with the same name")
      ->type_name("ID");
  command.add_option("--batch", ingest.batch, "Rows in a batch, at most 131072")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 17).description(""))
      ->type_name("ROWS");
  command
      .add_option("--rate", ingest.rate,
                  "Rows a second, evenly, in smaller batches; 0 is as fast as it goes")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e12).description(""))
      ->type_name("ROWS");
  command.add_option("--skip", ingest.skip, "Leave out this many rows at the beginning")
      ->capture_default_str()
      ->type_name("ROWS");
  command.add_option("--limit", ingest.limit, "Send at most this many rows")->type_name("ROWS");
  AddDuration(command, "--retry-for", "How long to try again without progress (default 60s)",
              ingest.retry_for);
}

void Arguments::Impl::AddGet() {
  CLI::App& command = Add("get", "Answer for one key: a view's features, or a service's",
                          [this](CommandContext& context) { return RunGet(get, context); });
  command.add_option("--service", get.service, "Ask a service instead of a view")
      ->type_name("NAME");
  // The first argument is the view, unless it is a key already.
  command
      .add_option_function<std::vector<std::string>>(
          "VIEW",
          [this](const std::vector<std::string>& words) {
            for (const std::string& word : words) {
              if (word.find('=') != std::string::npos)
                get.keys.push_back(word);
              else if (get.view.empty())
                get.view = word;
              else
                throw CLI::ValidationError(fmt::format("`{}` is no key: write NAME=VALUE", word));
            }
          },
          "The view (not with --service), then keys as NAME=VALUE")
      ->type_name("");
  command.add_option("--epoch", get.epoch, "As it was at this epoch (default the newest)")
      ->type_name("EPOCH");
  command
      .add_option("--as-of", get.as_of,
                  "As of this event time (default now, of an earlier epoch its clock)")
      ->type_name("TIME");
  AddCalled(command, "--http", "The engine's HTTP address", get.http);
}

void Arguments::Impl::AddLooks() {
  CLI::App& letters = Add(
      "deadletters",
      "The refused rows, with field, rule, reason and payload; `headrace replay` sends them again",
      [this](CommandContext& context) { return RunDeadLetters(dead_letters, context); });
  letters.add_option("STREAM", dead_letters.stream, "Only of this stream");
  letters.add_option("--limit", dead_letters.limit, "At most this many rows, the oldest first")
      ->capture_default_str()
      ->type_name("ROWS");
  letters
      .add_option("--after", dead_letters.after,
                  "Those behind this position: an epoch, or what the command before said")
      ->type_name("EPOCH[.N]");
  letters.add_flag("--open", dead_letters.open, "Only those that have not come in since");
  AddCalled(letters, "--http", "The engine's HTTP address", dead_letters.http);

  CLI::App& again = Add("replay",
                        "Send refused rows again, once the contract or the pipeline file is "
                        "mended: each comes in at most once",
                        [this](CommandContext& context) { return RunReplay(replay, context); });
  again.add_option("STREAM", replay.stream, "The stream whose rows they are")->required();
  again.add_option("--rule", replay.rule, "Only those that were refused for this rule")
      ->type_name("RULE");
  again.add_option("--after", replay.after, "Those behind this position of `headrace deadletters`")
      ->type_name("EPOCH[.N]");
  again.add_flag("--dry-run", replay.dry_run, "Say what would come in, and let nothing in");
  AddCalled(again, "--http", "The engine's HTTP address", replay.http);

  CLI::App& look = Add("status", "Whether a running engine is well, and all that it says of itself",
                       [this](CommandContext& context) { return RunStatus(status, context); });
  AddCalled(look, "--http", "The engine's HTTP address", status.http);
}

void Arguments::Impl::AddChanges() {
  const auto add_from = [](CLI::App& command, std::string& from) {
    command
        .add_option("--from", from,
                    "`now`, or `now:VIEW,VIEW`: new and altered views begin empty, with the "
                    "cut-over, instead of with their history")
        ->type_name("now[:VIEW,...]");
  };
  CLI::App& differs =
      Add("diff", "What a pipeline file would change in what is running, and what that takes",
          [this](CommandContext& context) { return RunDiff(diff, context); });
  differs.add_option("PIPELINE", diff.pipeline, "The new pipeline file")->required();
  differs
      .add_option("--data", diff.data, "Compare with this data folder instead of a running engine")
      ->type_name("DIR");
  add_from(differs, diff.from);
  AddCalled(differs, "--http", "The engine's HTTP address", diff.http);

  CLI::App& applies = Add("apply",
                          "Change a running engine's definition: new views are built while the old "
                          "ones answer, then it is cut over at an epoch",
                          [this](CommandContext& context) { return RunApply(apply, context); });
  applies.add_option("PIPELINE", apply.pipeline, "The new pipeline file")->required();
  applies.add_flag("--dry-run", apply.dry_run, "Only show what would change, as `diff` does");
  add_from(applies, apply.from);
  applies.add_flag("--break-consumers", apply.break_consumers,
                   "Services may lose features that they answer now; refused without it");
  AddCalled(applies, "--http", "The engine's HTTP address", apply.http);

  CLI::App& back =
      Add("rollback", "Go back to the definition before; no state is built while it is kept",
          [this](CommandContext& context) { return RunRollback(rollback, context); });
  AddCalled(back, "--http", "The engine's HTTP address", rollback.http);
}

void Arguments::Impl::AddTraining() {
  CLI::App& training = Add("train", "Features as they were known at each label's time",
                           [this](CommandContext& context) { return RunTrain(train, context); });
  training.add_option("--data", train.data, "The engine's data folder")
      ->required()
      ->type_name("DIR");
  training
      .add_option("--labels", train.labels, "Parquet file: keys, time and whatever else is kept")
      ->required()
      ->type_name("FILE");
  training.add_option("--service", train.service, "The service whose features are wanted")
      ->required()
      ->type_name("NAME");
  training
      .add_option("--time", train.time_column, "The labels' column with the time of the question")
      ->required()
      ->type_name("COLUMN");
  training
      .add_option("--exclude", train.exclude_column,
                  "A column of labels and stream that names a label's own row, which is left out")
      ->type_name("COLUMN");
  training
      .add_option("--epoch", train.epoch_column,
                  "The labels' column with the epoch of the answer that they carry: with its as_of "
                  "as the time they get what was answered")
      ->type_name("COLUMN");
  training.add_option("-o,--output", train.output, "The training set to write (Parquet)")
      ->required()
      ->type_name("FILE");

  CLI::App& verification =
      Add("verify", "Compute the logged answers again from table and log, and compare every bit",
          [this](CommandContext& context) { return RunVerify(verify, context); });
  verification.add_option("--data", verify.data, "The engine's data folder")
      ->required()
      ->type_name("DIR");
  verification
      .add_option("--answers", verify.answers,
                  "The file that `serve --answers` wrote (default DIR/answers.jsonl)")
      ->type_name("FILE");
}

void Arguments::Impl::AddLog() {
  CLI::App& log = *program.add_subcommand("log", "Look at a log, check it, copy it");
  log.footer("More of one: headrace help log COMMAND");
  log.require_subcommand(1);

  CLI::App& inspect =
      Add(log, "inspect", "What a log holds: epochs, segments, streams, residue, snapshots",
          [this](CommandContext& context) { return RunLogInspect(log_inspect, context); });
  inspect.add_option("DATA", log_inspect.data, "The engine's data folder")->required();
  inspect.add_option("--epoch", log_inspect.epoch, "One epoch's contents in detail")
      ->type_name("N");

  CLI::App& look =
      Add(log, "check", "Read every byte of a log and say where it is not what was written",
          [this](CommandContext& context) { return RunLogCheck(log_check, context); });
  look.add_option("DATA", log_check.data, "The engine's data folder")->required();

  CLI::App& fork =
      Add(log, "fork", "Copy a log under a new id, so that nothing mixes it up with the original",
          [this](CommandContext& context) { return RunLogFork(log_fork, context); });
  fork.add_option("DATA", log_fork.data, "The engine's data folder")->required();
  fork.add_option("NEW_DATA", log_fork.to, "The copy's data folder; its log must be empty")
      ->required();
  fork.add_option("--through", log_fork.through, "The last epoch to copy (default: the newest)")
      ->type_name("EPOCH");
}

void Arguments::Impl::AddScan() {
  CLI::App& command =
      Add("scan",
          "The rows of a stream as of one epoch, from its table and the log's tail together: as "
          "lines of JSON or CSV, or into a file",
          [this](CommandContext& context) { return RunScan(scan, context); });
  command.add_option("STREAM", scan.stream, "The stream")->required();
  command
      .add_option("--columns", scan.columns,
                  "Only these of its table's columns, in this order; with _epoch, _row, _known_at")
      ->delimiter(',')
      ->type_name("NAME,...");
  command
      .add_option("--where", scan.where,
                  "Only rows for which this is true: an expression over the table's columns")
      ->type_name("EXPRESSION");
  command.add_option("--epoch", scan.epoch, "As of this epoch; by default the newest durable one")
      ->type_name("N");
  command
      .add_option("--limit", scan.limit,
                  "At most this many rows, whichever come first: they have no order")
      ->type_name("ROWS");
  command.add_flag("--csv", scan.csv, "Lines of CSV, with a header, instead of JSON");
  command.add_option("-o,--output", scan.output, "The file to write: .parquet, .arrow or .csv")
      ->type_name("FILE");
  AddCalled(command, "--flight", "The engine's Arrow Flight address", scan.flight);
}

void Arguments::Impl::AddTables() {
  CLI::App& list =
      Add("tables",
          "Delta tables of a data folder, or one table: version, epochs, files, sizes, age, layout",
          [this](CommandContext& context) { return RunTables(tables, context); });
  list.add_option("FOLDER", tables.folder, "An engine's data folder, or a table's");
  list.add_option("--versions", tables.versions, "List the newest N versions of each table")
      ->type_name("N");
  CLI::App& diff_tables =
      Add(list, "diff", "What one version of a table has and another has not: files, or rows",
          [this](CommandContext& context) { return RunTableDiff(table_diff, context); });
  diff_tables
      .add_option("BEFORE", table_diff.before,
                  "A table's folder: its newest version, or FOLDER@VERSION, or FOLDER@epoch:N")
      ->required();
  diff_tables.add_option("AFTER", table_diff.after, "Likewise; of the same table, or of another")
      ->required();
  diff_tables.add_flag("--rows", table_diff.rows,
                       "Read the rows of files that only one side has, and count those that only "
                       "one side has");
  CLI::App& look = Add("doctor",
                       "What costs the readers of a Delta table, anybody's, and the command that "
                       "mends it; changes nothing; exit code 1 when there is something",
                       [this](CommandContext& context) { return RunDoctor(doctor, context); });
  look.add_option("TABLE", doctor.table, "The table's folder")->required();

  CLI::App& rewrites =
      Add("optimize",
          "Rewrite files of a running engine's table: pack small ones, or put rows that are asked "
          "for together into the same files; beside its writes, in one order with them",
          [this](CommandContext& context) { return RunOptimize(optimize, context); });
  rewrites.add_option("TABLE", optimize.table, "The stream whose table it is")->required();
  rewrites
      .add_option("--where", optimize.where,
                  "Only files that may have a row that fits: \"day(at) = yesterday\", \"at > now - "
                  "2d and shop = 'a'\"")
      ->type_name("PREDICATE");
  rewrites
      .add_option("--z-order", optimize.z_order,
                  "Put rows in the order of a Z-curve through these columns, on which a reader of "
                  "the table must filter; `auto`: those that the pipeline's readers filter on most")
      ->type_name("COLUMN,...");
  rewrites
      .add_option("--target-size", optimize.target_size,
                  "Size of the files that are made (default 128MiB, 16MiB with --z-order)")
      ->type_name("SIZE");
  rewrites.add_flag("--dry-run", optimize.dry_run, "Only say what would be rewritten");
  AddCalled(rewrites, "--http", "The engine's HTTP address", optimize.http);

  CLI::App& removes = Add(
      "vacuum",
      "Remove data files of a running engine's table that no version within the retention names",
      [this](CommandContext& context) { return RunVacuum(vacuum, context); });
  removes.add_option("TABLE", vacuum.table, "The stream whose table it is")->required();
  AddDuration(removes, "--retain",
              "How long removed files are kept (default and least 7d, or as "
              "the table says)",
              vacuum.retain);
  removes.add_flag("--below-floor", vacuum.below_floor,
                   "Allow a shorter retention than the least: readers, time travel and writers of "
                   "others may lose files that they need");
  removes.add_flag("--dry-run", vacuum.dry_run, "Only list what would go");
  AddCalled(removes, "--http", "The engine's HTTP address", vacuum.http);
}

void Arguments::Impl::AddTokens() {
  CLI::App& token = *program.add_subcommand("token", "Who may ask an engine for what");
  token.footer("More of one: headrace help token COMMAND");
  token.require_subcommand(1);
  CLI::App& create =
      Add(token, "create",
          "Make a token, print it this once, and add its digest to a token file (serve --tokens); "
          "removing the line there revokes it",
          [this](CommandContext& context) { return RunTokenCreate(token_create, context); });
  create.add_option("--file", token_create.file, "The token file; made when it is not there")
      ->required()
      ->type_name("FILE");
  create.add_option("--name", token_create.name, "Whose it is; each name once")->required();
  create
      .add_option("--scope", token_create.scope,
                  "What it may do, with commas between: read, read:VIEW_OR_SERVICE, push, "
                  "push:STREAM, watch, admin, restricted")
      ->required();
}

void Arguments::Impl::AddEvents() {
  CLI::App& command = Add("events", "The newest rows of a key, of a view or of a stream",
                          [this](CommandContext& context) { return RunEvents(events, context); });
  command
      .add_option("WHAT", events.words,
                  "VIEW KEY, or STREAM KEY: the key as NAME=VALUE, of a stream any of its columns")
      ->required()
      ->type_name("");
  command.add_flag("--stream", events.stream, "The name is a stream's, even if a view has it, too");
  command.add_option("--last", events.last, "So many rows (default 10)")->type_name("ROWS");
  command.add_option("--epoch", events.epoch, "As this epoch saw them (default the newest)")
      ->type_name("EPOCH");
  command
      .add_option("--source", events.source,
                  "Where rows are read: `state` or `table` (default the state while it has them)")
      ->type_name("SOURCE");
  AddCalled(command, "--http", "The engine's HTTP address", events.http);
}

void Arguments::Impl::AddExplain() {
  CLI::App& command = Add("explain",
                          "What an error code means; or the rows behind one value, and the value "
                          "computed again from them",
                          [this](CommandContext& context) { return RunExplain(explain, context); });
  command
      .add_option(
          "WHAT", explain.words,
          "A code such as HR0214; or VIEW KEY FEATURE, the key as NAME=VALUE (several for a "
          "key of several columns, VALUE alone for a key of one)")
      ->required()
      ->type_name("");
  command.add_option("--epoch", explain.epoch, "As it was at this epoch (default the newest)")
      ->type_name("EPOCH");
  command
      .add_option("--as-of", explain.as_of,
                  "As of this event time (default now, of an earlier epoch its clock)")
      ->type_name("TIME");
  command.add_option("--limit", explain.limit, "List at most this many rows (default 50)")
      ->type_name("ROWS");
  command
      .add_option("--source", explain.source,
                  "Where rows are read: `state` or `table` (default the state while it has them)")
      ->type_name("SOURCE");
  command.add_option("--served", explain.served, "What was answered, as JSON: it is compared, too")
      ->type_name("VALUE");
  AddCalled(command, "--http", "The engine's HTTP address", explain.http);
  Add("version", "The version of this binary",
      [](CommandContext& context) { return RunVersion(context); });
}

Arguments::Impl::Impl() {
  program.require_subcommand(0, 1);
  program.footer("More of one: headrace help COMMAND");
  program.set_version_flag("--version", fmt::format("headrace {}", kVersion),
                           "Print the version and exit");
  AddCheck();
  AddServe();
  AddIngest();
  AddGet();
  AddEvents();
  AddLooks();
  AddChanges();
  AddTraining();
  AddLog();
  AddScan();
  AddTables();
  AddTokens();
  AddExplain();
}

Arguments::Arguments() : impl_(std::make_unique<Impl>()) {
  CLI::App* hidden = impl_->program.add_subcommand(
      "reference", "Compare the committed command reference with this binary");
  hidden->group("");  // for the tests: not in help
  hidden->add_option("FILE", impl_->reference_file)->required();
  hidden->callback([this] {
    impl_->run = [this](CommandContext& context) {
      return impl_->CompareReference(context, Reference());
    };
  });
}
Arguments::~Arguments() = default;

int Arguments::Impl::CompareReference(CommandContext& context, const std::string& text) const {
  const char* rewrite = std::getenv("HEADRACE_REWRITE");
  if (rewrite != nullptr && std::string_view(rewrite) == "1") {
    const auto written = WriteTextFile(reference_file, text);
    return written ? 0 : ReportError(context, written.error());
  }
  const auto committed = ReadTextFile(reference_file);
  if (!committed) return ReportError(context, committed.error());
  if (*committed == text) return 0;
  return ReportError(
      context,
      base::Error(base::ErrorCode::kFailedPrecondition,
                  "the command reference is out of date: HEADRACE_REWRITE=1 writes it anew")
          .With("file", reference_file));
}

// "headrace help log inspect", as "headrace log inspect --help".
int Arguments::Impl::Help(std::span<const char* const> words, CommandContext& context) {
  const CLI::App* command = &program;
  for (const std::string word : words) {
    if (word.starts_with('-')) continue;
    const auto named =
        command->get_subcommands([&](const CLI::App* part) { return part->get_name() == word; });
    if (named.empty()) return ReportError(context, NoCommand(*command, word));
    command = named.front();
  }
  const CLI::App* parent = command->get_parent();
  fmt::print(context.out, "{}", command->help(parent == nullptr ? "" : CommandLineOf(*parent)));
  return 0;
}

// Help and version are no mistakes, unless of a command that is not there.
int Arguments::Impl::Complain(const CLI::ParseError& error, CommandContext& context) {
  if (error.get_exit_code() == 0 && UnknownCommand(program).empty()) {
    program.exit(error);
    return 0;
  }
  return ReportError(context, UsageError(program, error));
}

int Arguments::Run(int argc, const char* const* argv, CommandContext& context) {
  if (argc <= 1) {
    fmt::print(context.out, "{}", kOverview);
    return 0;
  }
  const std::span<const char* const> words(argv + 1, static_cast<size_t>(argc - 1));
  // Known before anything is understood: a complaint has the wanted form, too.
  if (std::ranges::find(words, std::string_view("--json")) != words.end())
    context.form = OutputForm::kJson;
  if (std::string_view(words.front()) == "help") return impl_->Help(words.subspan(1), context);
  try {
    impl_->program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return impl_->Complain(error, context);
  }
  for (Address* address : impl_->called) {
    address->tls = address->tls || !impl_->tls_files.ca.empty();
    address->tls_files = impl_->tls_files;
  }
  if (!impl_->run) {
    fmt::print(context.out, "{}", kOverview);
    return 0;
  }
  context.form = impl_->json ? OutputForm::kJson : OutputForm::kText;
  return impl_->run(context);
}

namespace {

std::string OptionLine(const CLI::Option& option) {
  std::string name = option.get_positional() ? option.get_name(true) : option.get_name(false, true);
  if (!option.get_positional() && option.get_expected_max() > 0 && !option.get_type_name().empty())
    name += " " + option.get_type_name();
  std::string says = option.get_description();
  if (!option.get_default_str().empty())
    says += fmt::format(" (default {})", option.get_default_str());
  if (option.get_required()) says += " (required)";
  return fmt::format("| `{}` | {} |\n", name, says);
}

}  // namespace

std::string Arguments::Reference() const {
  std::string out =
      "# The command line\n\nMade from the binary: `HEADRACE_REWRITE=1 ctest -R cli_reference` "
      "writes it anew.\n"
      "Exit codes are those of the error table in [errors.md](errors.md); 0 is success.\n";
  const auto shown = [](const CLI::App* app) { return !app->get_group().empty(); };
  const auto describe = [&](const std::string& name, const CLI::App& command) {
    out += fmt::format("\n## headrace {}\n{}.\n\n| option | what |\n|---|---|\n", name,
                       command.get_description());
    for (const CLI::Option* option : command.get_options())
      if (option->get_name() != "--help") out += OptionLine(*option);
  };
  for (const CLI::App* command : impl_->program.get_subcommands(shown)) {
    const auto parts = command->get_subcommands(shown);
    // One that does something itself has more than --help.
    if (parts.empty() || command->get_options().size() > 1) describe(command->get_name(), *command);
    for (const CLI::App* part : parts)
      describe(command->get_name() + " " + part->get_name(), *part);
  }
  return out;
}

}  // namespace headrace::app
