#pragma once
// The commands of the one binary: each has its options here, and its work in a file of its own
// (ingest_command.cc ...). arguments.cc turns the command line into options; main.cc runs the
// command that was chosen.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headrace::app {

enum class OutputForm : uint8_t { kText, kJson };

// Where a command writes and in which form. Text goes to people, JSON (one document on the last
// line) to programs.
struct CommandContext {
  std::FILE* out = stdout;
  std::FILE* err = stderr;
  OutputForm form = OutputForm::kText;
  bool json() const { return form == OutputForm::kJson; }
};

// Says where, why and what next on `err`, as JSON on `out` too when that was asked for. Returns the
// exit code of the error table.
int ReportError(const CommandContext& context, const base::Error& error);

// Paths of PEM files; empty: not given.
struct TlsClientFiles {
  std::string ca;  // whose servers are believed
  std::string cert;
  std::string key;
};

// A server's address on the command line: "HOST:PORT", ":PORT", "PORT" or "HOST", with TLS
// "https://HOST:PORT" or "grpc+tls://HOST:PORT".
struct Address {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  bool given = false;  // by the user, not by default
  bool tls = false;
  TlsClientFiles tls_files = {};  // of a client that speaks TLS
  std::string ToString() const;
};
// Parts that are missing stay as they are in `address`. Errors: kInvalidInput.
base::Result<Address> ParseAddress(const std::string& text, Address address);

inline constexpr std::string_view kVersion = "0.1.0";
inline constexpr uint16_t kDefaultHttpPort = 6566;
inline constexpr uint16_t kDefaultFlightPort = 8815;
inline constexpr uint16_t kDefaultRespPort = 6379;

struct CheckOptions {
  std::string pipeline;
};
int RunCheck(const CheckOptions& options, CommandContext& context);

struct ServeOptions {
  std::string pipeline;
  std::string data;
  Address http{.port = kDefaultHttpPort};
  Address flight{.port = kDefaultFlightPort};
  Address resp{.port = kDefaultRespPort};
  bool no_resp = false;
  size_t io_threads = 0;                   // 0: as many as fit the machine
  std::chrono::microseconds busy_poll{0};  // 0: off
  std::string ready_file;
  std::string answers;
  std::string tokens;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  bool demo_faults = false;
  bool no_governor = false;
};
int RunServe(const ServeOptions& options, CommandContext& context);

struct TokenCreateOptions {
  std::string name;
  std::string scope;
  std::string file;
};
int RunTokenCreate(const TokenCreateOptions& options, CommandContext& context);

// The token that commands show an engine: HEADRACE_TOKEN, so that it is in no list of processes and
// no shell's history. Empty: none.
std::string TokenOfEnvironment();

struct IngestOptions {
  std::string stream;
  std::string file;
  Address http{.port = kDefaultHttpPort};
  Address flight{.port = kDefaultFlightPort};
  std::string producer;   // empty: file name and content digest
  uint64_t batch = 4096;  // rows
  double rate = 0;        // rows a second; 0: as fast as it goes
  uint64_t skip = 0;
  std::optional<uint64_t> limit;
  std::chrono::microseconds retry_for = std::chrono::seconds(60);
};
int RunIngest(const IngestOptions& options, CommandContext& context);

struct GetOptions {
  std::string view;  // or
  std::string service;
  std::vector<std::string> keys;  // "origin=ORD"
  std::optional<uint64_t> epoch;  // as it was
  std::string as_of;
  Address http{.port = kDefaultHttpPort};
};
int RunGet(const GetOptions& options, CommandContext& context);

struct EventsOptions {
  std::vector<std::string> words;  // view or stream, then the key
  bool stream = false;             // the name is a stream's
  uint64_t last = 10;
  std::optional<uint64_t> epoch;
  std::string source;
  Address http{.port = kDefaultHttpPort};
};
int RunEvents(const EventsOptions& options, CommandContext& context);

struct DeadLettersOptions {
  std::string stream;  // empty: all
  uint64_t limit = 20;
  std::string after;  // EPOCH or EPOCH.N; empty: from the oldest
  bool open = false;  // only those that have not come in since
  Address http{.port = kDefaultHttpPort};
};
int RunDeadLetters(const DeadLettersOptions& options, CommandContext& context);

struct ReplayOptions {
  std::string stream;
  std::string rule;   // empty: whatever they were refused for
  std::string after;  // as of DeadLettersOptions
  bool dry_run = false;
  Address http{.port = kDefaultHttpPort};
};
int RunReplay(const ReplayOptions& options, CommandContext& context);

struct StatusOptions {
  Address http{.port = kDefaultHttpPort};
};
int RunStatus(const StatusOptions& options, CommandContext& context);

struct DiffOptions {
  std::string pipeline;
  std::string data;  // empty: ask a running engine
  std::string from;  // "now", "now:card,user"; empty: views get their history
  Address http{.port = kDefaultHttpPort};
};
int RunDiff(const DiffOptions& options, CommandContext& context);

struct ApplyOptions {
  std::string pipeline;
  std::string from;
  bool dry_run = false;
  bool break_consumers = false;
  Address http{.port = kDefaultHttpPort};
};
int RunApply(const ApplyOptions& options, CommandContext& context);

struct RollbackOptions {
  Address http{.port = kDefaultHttpPort};
};
int RunRollback(const RollbackOptions& options, CommandContext& context);

struct TrainOptions {
  std::string data;
  std::string labels;
  std::string service;
  std::string time_column;
  std::string exclude_column;  // empty: a label is no row of the stream
  std::string epoch_column;    // empty: what was known is decided by the time
  std::string output;
};
int RunTrain(const TrainOptions& options, CommandContext& context);

struct VerifyOptions {
  std::string data;
  std::string answers;  // empty: the answers file in the data folder
};
int RunVerify(const VerifyOptions& options, CommandContext& context);

struct LogInspectOptions {
  std::string data;
  std::optional<uint64_t> epoch;
};
int RunLogInspect(const LogInspectOptions& options, CommandContext& context);

struct LogCheckOptions {
  std::string data;
};
int RunLogCheck(const LogCheckOptions& options, CommandContext& context);

struct LogForkOptions {
  std::string data;
  std::string to;
  std::optional<uint64_t> through;
};
int RunLogFork(const LogForkOptions& options, CommandContext& context);

struct ScanOptions {
  std::string stream;
  std::vector<std::string> columns;
  std::string where;
  std::optional<uint64_t> epoch;
  std::string output;             // empty: lines
  bool csv = false;               // as lines instead of JSON
  std::optional<uint64_t> limit;  // rows
  Address flight{.port = kDefaultFlightPort};
};
int RunScan(const ScanOptions& options, CommandContext& context);

struct DoctorOptions {
  std::string table;  // its folder
};
int RunDoctor(const DoctorOptions& options, CommandContext& context);

struct TablesOptions {
  std::string folder;
  size_t versions = 0;  // to list
};
int RunTables(const TablesOptions& options, CommandContext& context);

struct OptimizeOptions {
  std::string table;  // a stream
  std::string where;
  std::string z_order;  // "a,b", or "auto"
  std::string target_size;
  bool dry_run = false;
  Address http{.port = kDefaultHttpPort};
};
int RunOptimize(const OptimizeOptions& options, CommandContext& context);

struct VacuumOptions {
  std::string table;  // a stream
  std::optional<std::chrono::microseconds> retain;
  bool below_floor = false;
  bool dry_run = false;
  Address http{.port = kDefaultHttpPort};
};
int RunVacuum(const VacuumOptions& options, CommandContext& context);

struct TableDiffOptions {
  std::string before;  // FOLDER, FOLDER@VERSION or FOLDER@epoch:N
  std::string after;
  bool rows = false;
};
int RunTableDiff(const TableDiffOptions& options, CommandContext& context);

struct ExplainOptions {
  std::vector<std::string> words;  // "HR0214"; or view, key and feature
  std::optional<uint64_t> epoch;
  std::string as_of;
  uint64_t limit = 50;
  std::string source;
  std::string served;  // the value that was answered, as JSON
  Address http{.port = kDefaultHttpPort};
};
// What an error code means, or which rows are behind a value.
int RunExplain(const ExplainOptions& options, CommandContext& context);
int RunExplainCode(std::string code, CommandContext& context);

int RunVersion(CommandContext& context);

}  // namespace headrace::app
