// headrace diff, apply, rollback: what a new pipeline file would change in what is running, the
// change itself with its progress, and the way back.

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/counts.h"
#include "base/json_text.h"
#include "commands.h"
#include "contract/no_such_name.h"
#include "env/environment.h"
#include "http_calls.h"
#include "progress.h"
#include "wiring/change_plan.h"
#include "wiring/pipeline_folder.h"

namespace headrace::app {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using nlohmann::ordered_json;
using wiring::ChangeRequest;

constexpr std::chrono::milliseconds kAskEvery{100};
constexpr int kExitOnSignal = 128;  // and the signal's number

// "now", or "now:card,user".
Result<void> TakeFrom(const std::string& from, ChangeRequest& request) {
  if (from.empty()) return {};
  request.all_from_now = from == "now";
  if (request.all_from_now) return {};
  if (!from.starts_with("now:"))
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("`--from {}`: write `now`, or `now:VIEW,VIEW`", from));
  for (size_t at = 4; at <= from.size();) {
    const size_t comma = std::min(from.find(',', at), from.size());
    if (comma > at) request.from_now.insert(from.substr(at, comma - at));
    at = comma + 1;
  }
  return {};
}

Result<ChangeRequest> RequestOf(const std::string& file, const std::string& from) {
  const auto environment = env::MakeRealEnvironment();
  ChangeRequest request;
  HR_TRY(request.next, wiring::ReadPipeline(environment->files(), file));
  HR_TRY_VOID(TakeFrom(from, request));
  return request;
}

std::string Bytes(double bytes) {
  constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

// "under 1 s", "about 12 s", "about 3 min".
std::string Span(double seconds) {
  if (seconds < 1) return "under 1 s";
  if (seconds < 120) return fmt::format("about {:.0f} s", seconds);
  return fmt::format("about {:.0f} min", seconds / 60);
}

std::string Text(const ordered_json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double Number(const ordered_json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

std::string MeansOf(const ordered_json& view) {
  if (Text(view, "build") != "history") return Text(view, "means");
  return fmt::format("rebuilt from {} of history, {}, {} of state",
                     base::Counted(static_cast<uint64_t>(Number(view, "rows")), "row"),
                     Span(Number(view, "seconds")), Bytes(Number(view, "bytes")));
}

// "1 view altered, 2 added".
std::string Summary(const ordered_json& plan) {
  std::string text;
  for (const char* change : {"added", "altered", "removed", "unchanged"}) {
    const auto count = std::ranges::count_if(
        plan["views"], [&](const auto& view) { return Text(view, "change") == change; });
    if (count == 0) continue;
    text += text.empty() ? fmt::format("{} view{} {}", count, count == 1 ? "" : "s", change)
                         : fmt::format(", {} {}", count, change);
  }
  return text.empty() ? "no views" : text;
}

void Line(std::FILE* out, std::string_view kind, const ordered_json& thing,
          const std::string& means) {
  fmt::print(out, "  {:<10} {:<20} {:<10} {}\n", kind, Text(thing, "name"), Text(thing, "change"),
             means);
}

// "adds channel, note; amount optional from now on; items is int64, was int32; other order".
std::string ContractMeans(const ordered_json& stream) {
  if (!stream.contains("contract")) return "";
  const ordered_json& contract = stream["contract"];
  std::string text;
  const auto list = [&](const char* key, std::string_view before, std::string_view after) {
    std::string names;
    for (const auto& name : contract[key])
      names += (names.empty() ? "" : ", ") + name.get<std::string>();
    if (names.empty()) return;
    text += fmt::format("{}{}{}{}", text.empty() ? "" : "; ", before, names, after);
  };
  list("added", "adds ", "");
  list("relaxed", "", " optional from now on");
  for (const auto& field : contract["widened"])
    text += fmt::format("{}{} is {}, was {}", text.empty() ? "" : "; ", Text(field, "name"),
                        Text(field, "to"), Text(field, "from"));
  if (contract.value("reordered", false)) text += text.empty() ? "other order" : "; other order";
  return text.empty() ? "rules and descriptions of its contract" : text;
}

// "adds n_7d, spend_7d; removes last; alters n_1h; other where".
std::string AlteredText(const ordered_json& view) {
  const auto altered = view.find("altered");
  if (altered == view.end()) return "";
  std::string text;
  for (const auto& [key, does] :
       {std::pair("features_added", "adds"), std::pair("features_removed", "removes"),
        std::pair("features_altered", "alters"), std::pair("keys", "other")}) {
    const auto names = altered->value(key, std::vector<std::string>());
    if (!names.empty())
      text += fmt::format("{}{} {}", text.empty() ? "" : "; ", does, contract::Listed(names));
  }
  return text.empty() ? "the same features, written otherwise or of a stream that is altered"
                      : text;
}

void PrintPlan(std::FILE* out, const ordered_json& plan) {
  const bool changes = plan.value("changes", false);
  if (!plan.value("possible", true)) {
    fmt::print(out, "{}: REFUSED\n", Text(plan, "pipeline"));
    for (const auto& why : plan["refused"]) fmt::print(out, "  {}\n", why.get<std::string>());
  } else {
    fmt::print(out, "{}: {}\n", Text(plan, "pipeline"),
               changes ? Summary(plan) : std::string("nothing changes"));
  }
  for (const auto& view : plan["views"]) {
    Line(out, "view", view, MeansOf(view));
    if (const std::string altered = AlteredText(view); !altered.empty())
      fmt::print(out, "{:45}{}\n", "", altered);
  }
  const auto others = [&](const char* key, std::string_view kind, const std::string& means) {
    for (const auto& thing : plan[key])
      if (Text(thing, "change") != "unchanged") Line(out, kind, thing, means);
  };
  for (const auto& stream : plan["streams"])
    if (Text(stream, "change") != "unchanged") {
      Line(out, "stream", stream, ContractMeans(stream));
      if (stream.contains("contract"))
        for (const auto& note : stream["contract"]["notes"])
          fmt::print(out, "{:45}{}\n", "", note.get<std::string>());
    }
  others("on_request", "on request", "");
  others("services", "service", "");
  others("settings", "setting", "takes effect at the next start");
  for (const auto& each : plan["breaks"]) {
    std::string loses;
    for (const char* key : {"missing", "retyped", "renamed"})
      for (const auto& name : each[key])
        loses += (loses.empty() ? "" : ", ") + name.get<std::string>();
    fmt::print(out, "  BREAKS     {:<20} {}\n", Text(each, "service"),
               loses.empty() ? "the service is gone" : loses);
  }
  if (plan.contains("memory") && Number(plan, "state_bytes") > 0)
    fmt::print(out, "  memory     {} more beside the old views; {} of {} are free\n",
               Bytes(Number(plan, "state_bytes")), Bytes(Number(plan["memory"], "free_bytes")),
               Bytes(Number(plan["memory"], "limit_bytes")));
}

Result<ordered_json> Parsed(const std::string& text) {
  ordered_json json = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  return Fail(ErrorCode::kInternal, "the engine's answer is no JSON object");
}

// Prints what would change; gives the exit code.
int Show(CommandContext& context, const std::string& text) {
  const auto plan = Parsed(text);
  if (!plan) return ReportError(context, plan.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", text);
  } else {
    PrintPlan(context.out, *plan);
  }
  return plan->value("possible", true) ? 0 : base::RowOf(ErrorCode::kFailedPrecondition).exit_code;
}

// Ctrl-C and SIGTERM end the command and not the change: says so. One object a process, made before
// any other thread, as those inherit what is blocked.
class Interruption {
 public:
  explicit Interruption(std::FILE* err) : begun_(std::make_shared<std::atomic<bool>>(false)) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([begun = begun_, err, signals] {
      int signal = 0;
      sigwait(&signals, &signal);
      fmt::print(err, "\n{}: `headrace status` shows it\n",
                 begun->load() ? "the change goes on in the engine"
                               : "not known whether the engine has begun the change");
      std::fflush(err);
      _exit(kExitOnSignal + signal);
    }).detach();
  }
  void Begun() { begun_->store(true); }

 private:
  std::shared_ptr<std::atomic<bool>> begun_;
};

ErrorCode CodeNamed(const std::string& name) {
  for (const base::ErrorCodeRow& row : base::ErrorCodes())
    if (row.name == name) return row.code;
  return ErrorCode::kInternal;
}

// Asks until the change to `to` is over.
Result<ordered_json> Await(CommandContext& context, HttpCalls& calls, const std::string& to,
                           uint64_t rows) {
  Progress progress(context.err, "history", rows > 0 ? std::optional(rows) : std::nullopt);
  while (true) {
    HR_TRY(const std::string text, calls.Get("/definition"));
    HR_TRY(const ordered_json standing, Parsed(text));
    ordered_json change = standing.value("change", ordered_json::object());
    if (Text(change, "to") != to)
      return Fail(ErrorCode::kUnavailable,
                  "the engine was started anew, or another change came: ask `headrace diff`");
    const std::string state = Text(change, "state");
    if (state == "done") return change;
    if (state == "failed")
      return Fail(
          base::Error(CodeNamed(Text(change["error"], "name")), Text(change["error"], "message"))
              .With("still_in_force", Text(standing, "definition")));
    progress.Update(static_cast<uint64_t>(Number(change, "rows_done")));
    std::this_thread::sleep_for(kAskEvery);
  }
}

enum class Way : uint8_t { kOn, kBack };

int Carry(CommandContext& context, HttpCalls& calls, Interruption& interruption, Way way,
          const Result<std::string>& begun) {
  if (!begun) return ReportError(context, begun.error());
  const auto plan = Parsed(*begun);
  if (!plan) return ReportError(context, plan.error());
  if (plan->value("changes", false)) interruption.Begun();
  if (!context.json()) PrintPlan(context.out, *plan);
  if (!context.json() && way == Way::kBack)
    fmt::print(context.out, "  back from definition {} to {}\n", Text(*plan, "from"),
               Text(*plan, "to"));
  ordered_json result = {{"plan", *plan}};
  if (plan->value("changes", false)) {
    std::fflush(context.out);
    const auto change = Await(context, calls, Text(*plan, "to"),
                              static_cast<uint64_t>(Number(*plan, "history_rows")));
    if (!change) return ReportError(context, change.error());
    result["change"] = *change;
    if (!context.json())
      fmt::print(context.out, "cut over at epoch {} after {:.1f} s, {} of history{}\n",
                 static_cast<uint64_t>(Number(*change, "cut_over_epoch")),
                 Number(*change, "seconds"),
                 base::Counted(static_cast<uint64_t>(Number(*change, "rows_done")), "row"),
                 way == Way::kOn ? "      back: headrace rollback"
                                 : "      back again: headrace rollback");
  }
  if (context.json()) fmt::print(context.out, "{}\n", base::JsonText(result));
  return 0;
}

}  // namespace

int RunDiff(const DiffOptions& options, CommandContext& context) {
  const auto request = RequestOf(options.pipeline, options.from);
  if (!request) return ReportError(context, request.error());
  if (options.data.empty()) {
    HttpCalls calls(options.http);
    const auto text = calls.PostJson("/definition/diff", ChangeRequestJson(*request));
    return text ? Show(context, *text) : ReportError(context, text.error());
  }
  const auto environment = env::MakeRealEnvironment();
  const auto ground = wiring::GroundOf(*environment, options.data);
  if (!ground) return ReportError(context, ground.error());
  ChangeRequest asked = *request;
  asked.may_break = true;  // what breaks is shown
  return Show(context, PlanChange(*ground, asked).ToJson(*ground));
}

int RunApply(const ApplyOptions& options, CommandContext& context) {
  if (options.dry_run)
    return RunDiff(
        {.pipeline = options.pipeline, .data = {}, .from = options.from, .http = options.http},
        context);
  auto request = RequestOf(options.pipeline, options.from);
  if (!request) return ReportError(context, request.error());
  request->may_break = options.break_consumers;
  Interruption interruption(context.err);
  HttpCalls calls(options.http);
  return Carry(context, calls, interruption, Way::kOn,
               calls.PostJson("/definition", ChangeRequestJson(*request)));
}

int RunRollback(const RollbackOptions& options, CommandContext& context) {
  Interruption interruption(context.err);
  HttpCalls calls(options.http);
  return Carry(context, calls, interruption, Way::kBack,
               calls.PostJson("/definition/rollback", "{}"));
}

}  // namespace headrace::app
