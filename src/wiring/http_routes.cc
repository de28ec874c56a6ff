#include "wiring/http_routes.h"

namespace headrace::wiring {
namespace {

using protocols::HttpMethod;
using Place = RouteParameter::Place;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kProblem = "application/problem+json";
constexpr std::string_view kText = "text/plain; version=0.0.4; charset=utf-8";

using access::Verb;
using protocols::RouteNeed;

constexpr RouteNeed kAdministers;  // what is not said
constexpr RouteNeed kOpen{.names = RouteNeed::Names::kNone};
constexpr RouteNeed kWatches{.verb = Verb::kWatch};
// Views and services are looked at where their names are read: serving/caller_rights.h.
constexpr RouteNeed kReadsSome{.verb = Verb::kRead, .names = RouteNeed::Names::kSome};
constexpr RouteNeed kPushes{.verb = Verb::kPush};
// A service is looked at before the event is taken in: serving/push/push.h.
constexpr RouteNeed kPushesThere{.verb = Verb::kPush, .names = RouteNeed::Names::kStreamOfPath};
// Who has the token of a push is who sent it.
constexpr RouteNeed kPushesSome{.verb = Verb::kPush, .names = RouteNeed::Names::kSome};

RouteReply Ok(std::string_view schema, std::string_view says,
              std::vector<RouteHeader> headers = {}) {
  return {200, kJson, schema, says, std::move(headers)};
}
RouteReply Problem(int status, std::string_view says) {
  return {status, kProblem, "Problem", says};
}

std::vector<RouteParameter> AnswerParameters() {
  return {{Place::kQuery, "as_of", "string", "answer as of this event time, RFC 3339"},
          {Place::kQuery, "min_epoch", "integer", "wait until this epoch is visible"},
          {Place::kQuery, "deadline_ms", "integer", "how long min_epoch is waited for"},
          {Place::kQuery, "mode", "string", "strict or feast"}};
}

std::vector<RouteReply> AnswerReplies() {
  return {
      Ok("FeatureAnswer", "features by column, of one epoch"),
      {404, kJson, "FeastError", "no such view or service, or an input of the request is missing"},
      {422, kJson, "FieldProblems", "what is wrong with which field"},
      {500, kJson, "FeastError", "in mode feast: what Feast's code fails at"},
      Problem(429, "too many requests wait for an epoch"),
      Problem(503, "a revoked pin, or no memory: repeat it"),
      Problem(504, "min_epoch did not become visible in time")};
}

std::vector<RouteReply> WriteReplies(const RouteReply& ok) {
  return {ok,
          {404, kJson, "FeastError", "no such view or stream"},
          {422, kJson, "WriteProblems", "refused rows and columns, or no such push source"},
          {500, kJson, "FeastError", "under /feast: what Feast's code fails at"},
          Problem(429, "rows faster than the disk or the views take them"),
          Problem(503, "starting, stopping, or no memory: repeat it"),
          Problem(507, "the log has reached its limit")};
}

const std::vector<RouteParameter> kKey = {
    {Place::kHeader, "Idempotency-Key", "string", "makes a repeat get the first answer"}};

void AddFeast(std::vector<RouteRow>& rows) {
  rows.push_back({HttpMethod::kPost, "/get-online-features", kReadsSome, "getOnlineFeatures",
                  "features, in Feast's shapes", kJson, "FeatureRequest", AnswerParameters(),
                  AnswerReplies()});
  rows.push_back({HttpMethod::kPost, "/push", kPushes, "push",
                  "rows, in Feast's shapes; answers when they are durable", kJson, "PushRequest",
                  kKey, WriteReplies({200, "", "", "durable; Headrace-Epoch has the epoch"})});
  rows.push_back({HttpMethod::kPost, "/write-to-online-store", kPushes, "writeToOnlineStore",
                  "the same, by the name of a view", kJson, "WriteRequest", kKey,
                  WriteReplies(Ok("Null", "durable; Headrace-Epoch has the epoch"))});
  rows.push_back({HttpMethod::kPost, "/feast/get-online-features", kReadsSome,
                  "feastGetOnlineFeatures", "the same in `mode: feast`", kJson, "FeatureRequest",
                  AnswerParameters(), AnswerReplies()});
  rows.push_back({HttpMethod::kPost, "/feast/push", kPushes, "feastPush",
                  "the same in `mode: feast`", kJson, "PushRequest", kKey,
                  WriteReplies({200, "", "", "durable"})});
  rows.push_back({HttpMethod::kPost, "/feast/write-to-online-store", kPushes,
                  "feastWriteToOnlineStore", "the same in `mode: feast`", kJson, "WriteRequest",
                  kKey, WriteReplies(Ok("Null", "durable"))});
  rows.push_back({HttpMethod::kGet,
                  "/feast/health",
                  kOpen,
                  "feastHealth",
                  "as `/health`",
                  "",
                  "",
                  {},
                  {{200, "", "", "the process lives"}}});
}

void AddOwn(std::vector<RouteRow>& rows) {
  rows.push_back({HttpMethod::kPost,
                  "/streams/{stream}/events",
                  kPushesThere,
                  "takeEvents",
                  "takes rows in; answers when they are durable",
                  "application/x-ndjson",
                  "",
                  {{Place::kQuery, "atomic", "boolean", "all rows or none"},
                   {Place::kHeader, "Headrace-Producer", "string", "who counts the sequence"},
                   {Place::kHeader, "Headrace-Sequence", "integer", "1, 2, 3 ... of that producer"},
                   {Place::kHeader, "Idempotency-Key", "string", "instead of the two"}},
                  {Ok("EventsOutcome", "rows went in, durable"),
                   {422, kJson, "EventsRefused", "no row went in, or the request is wrong"},
                   Problem(404, "no such stream"),
                   Problem(429, "faster than the disk or the views take it"),
                   Problem(503, "starting, stopping, or no memory: repeat it"),
                   Problem(507, "the log has reached its limit")}});
  rows.push_back(
      {HttpMethod::kPost,
       "/streams/{stream}/push-get",
       kPushesThere,
       "pushAndGet",
       "takes one event in; answers with its service's features, itself included",
       kJson,
       "Object",
       {{Place::kQuery, "service", "string", "whose features are answered"},
        {Place::kQuery, "deadline_ms", "integer", "1000 unless said, up to 60,000"},
        {Place::kQuery, "at_deadline", "string", "last_known, defaults or refuse"},
        {Place::kQuery, "refused", "string", "told, or answered with features"},
        {Place::kQuery, "answer", "string", "durable, or provisional where a consumer allows it"},
        {Place::kHeader, "Headrace-Producer", "string", "who counts the sequence"},
        {Place::kHeader, "Headrace-Sequence", "integer", "1, 2, 3 ... of that producer"},
        {Place::kHeader, "Idempotency-Key", "string", "instead of the two"}},
       {Ok("PushAnswer", "features, and what is known of the event"),
        {422, kJson, "PushRefused", "the event is refused, or the request is wrong"},
        Problem(404, "no such stream or service"),
        Problem(412,
                "the event is in, and features without it can't be told any more; or the service "
                "allows no provisional answers"),
        Problem(429, "faster than the disk or the views take it"),
        Problem(503, "nothing was taken in, unless `event` says so: repeat it"),
        Problem(504, "at_deadline is refuse, and time is up; `event` says what is known"),
        Problem(507, "the log has reached its limit")}});
  rows.push_back({HttpMethod::kGet,
                  "/pushes/{token}",
                  kPushesSome,
                  "askPush",
                  "what became of an event that was not known yet when its push was answered",
                  "",
                  "",
                  {},
                  {Ok("PushedEvent", "what is known by now"),
                   Problem(404, "of another start, or forgotten")}});
  rows.push_back(
      {HttpMethod::kGet,
       "/deadletters",
       kAdministers,
       "listDeadLetters",
       "refused rows with their reasons",
       "",
       "",
       {{Place::kQuery, "stream", "string", "of one stream; all unless said"},
        {Place::kQuery, "limit", "integer", "at most; 100 unless said, up to 10,000"},
        {Place::kQuery, "after", "string",
         "those behind this position: an epoch, or what Headrace-Next said"},
        {Place::kQuery, "open", "boolean", "true: only those that have not come in since"}},
       {Ok("DeadLetters", "in the order of the log",
           {{"Headrace-Next", "where the next page begins, EPOCH.N; not there: nothing is left"}}),
        Problem(422, "a parameter that can't be read, or too large")}});
  rows.push_back(
      {HttpMethod::kPost,
       "/deadletters/replay",
       kAdministers,
       "replayDeadLetters",
       "sends refused rows again: each that fits by now comes in, once",
       "",
       "",
       {{Place::kQuery, "stream", "string", "whose; required"},
        {Place::kQuery, "rule", "string", "only those that were refused for it"},
        {Place::kQuery, "limit", "integer", "rows to try; 10,000 unless said, up to 100,000"},
        {Place::kQuery, "after", "string",
         "those behind this position: an epoch, or what `next` said"},
        {Place::kQuery, "dry_run", "boolean", "true: tells what would come in"}},
       {Ok("ReplayReport", "what came in, and what did not and why"),
        Problem(404, "no such stream"), Problem(409, "another replay is under way"),
        Problem(422, "a parameter that can't be read, or too large"),
        Problem(429, "no memory for it now"), Problem(503, "the engine is stopping")}});
  rows.push_back({HttpMethod::kGet,
                  "/views",
                  kReadsSome,
                  "listViews",
                  "views, join keys, features and their types, services",
                  "",
                  "",
                  {},
                  {Ok("Views", "of the definition in force")}});
}

void AddDefinition(std::vector<RouteRow>& rows) {
  rows.push_back({HttpMethod::kGet,
                  "/definition",
                  kWatches,
                  "getDefinition",
                  "the definition in force, and how far the change under way (or the last one) is",
                  "",
                  "",
                  {},
                  {Ok("DefinitionState", "its id and epoch")}});
  const std::vector<RouteReply> refusals = {Problem(409, "another change is under way"),
                                            Problem(412, "refused, with every reason"),
                                            Problem(422, "a file with errors")};
  rows.push_back({HttpMethod::kPost,
                  "/definition/diff",
                  kAdministers,
                  "diffDefinition",
                  "what another pipeline file would change",
                  kJson,
                  "ChangeRequest",
                  {},
                  {Ok("DefinitionDiff", "nothing is changed"), refusals[2]}});
  RouteRow apply{HttpMethod::kPost,
                 "/definition",
                 kAdministers,
                 "applyDefinition",
                 "changes to it: answers when it has begun, or why not",
                 kJson,
                 "ChangeRequest",
                 {},
                 {Ok("DefinitionDiff", "it has begun")}};
  RouteRow rollback{HttpMethod::kPost,
                    "/definition/rollback",
                    kAdministers,
                    "rollbackDefinition",
                    "back to the definition before",
                    "",
                    "",
                    {},
                    {Ok("DefinitionDiff", "it has begun")}};
  for (RouteRow* row : {&apply, &rollback}) {
    row->replies.insert(row->replies.end(), refusals.begin(), refusals.end());
    rows.push_back(std::move(*row));
  }
}

void AddTables(std::vector<RouteRow>& rows) {
  const std::vector<RouteReply> refusals = {
      Problem(404, "no such table"), Problem(409, "it is being rewritten or vacuumed already"),
      Problem(412, "what is asked for would do harm"), Problem(422, "a request with errors"),
      Problem(503, "the table is not open")};
  RouteRow optimize{HttpMethod::kPost,
                    "/tables/{table}/optimize",
                    kAdministers,
                    "optimizeTable",
                    "rewrites files of a table; answers when it is done",
                    kJson,
                    "Object",
                    {},
                    {Ok("Object", "what was rewritten")}};
  RouteRow vacuum{HttpMethod::kPost,
                  "/tables/{table}/vacuum",
                  kAdministers,
                  "vacuumTable",
                  "removes files that no version within the retention names",
                  kJson,
                  "Object",
                  {},
                  {Ok("Object", "what went")}};
  for (RouteRow* row : {&optimize, &vacuum}) {
    row->replies.insert(row->replies.end(), refusals.begin(), refusals.end());
    rows.push_back(std::move(*row));
  }
}

void AddLookback(std::vector<RouteRow>& rows) {
  const auto add = [&](std::string_view path, std::string_view id, std::string_view says,
                       std::string_view request, std::vector<RouteParameter> parameters,
                       RouteReply ok) {
    rows.push_back(
        {HttpMethod::kPost,
         path,
         kReadsSome,
         id,
         says,
         kJson,
         request,
         std::move(parameters),
         {ok, Problem(404, "no such view, feature, service or stream"),
          Problem(412, "the rows are gone, and why"), Problem(422, "a request with errors"),
          Problem(429, "too many such questions wait"),
          Problem(501, "rows of the stream stand nowhere"),
          Problem(503, "the epoch is not visible yet, or the state moved on: repeat it"),
          Problem(504, "table and log could not be read in time")}});
  };
  add("/explain", "explain", "the rows behind one value, and the value computed again from them",
      "ExplainRequest", {},
      Ok("Explanation", "rows, most recent first, and whether the bits are the same"));
  add("/get-features-at", "getFeaturesAt",
      "features as of an earlier epoch or time: from the state, else from table and log",
      "FeatureRequest",
      {{Place::kQuery, "epoch", "integer", "as it was; the newest unless said"},
       {Place::kQuery, "as_of", "string", "as of this event time, RFC 3339"},
       {Place::kQuery, "min_epoch", "integer",
        "an epoch to wait for, up to 60 s; not beside epoch"},
       {Place::kQuery, "source", "string", "either, state or table"},
       {Place::kQuery, "deadline_ms", "integer", "30,000 unless said, up to 600,000"}},
      Ok("PastAnswer", "features by column, and where they are from"));
  add("/last-events", "lastEvents", "the newest rows of a key, of a view or of a stream",
      "EventsRequest", {}, Ok("LastEvents", "newest first, as one epoch saw them"));
}

void AddHealth(std::vector<RouteRow>& rows) {
  rows.push_back({HttpMethod::kGet,
                  "/health",
                  kOpen,
                  "health",
                  "200 and nothing else while the process lives",
                  "",
                  "",
                  {},
                  {{200, "", "", "the process lives"}}});
  rows.push_back({HttpMethod::kGet,
                  "/ready",
                  kOpen,
                  "ready",
                  "200 when answers can be given, else 503 with the reason and `Retry-After`",
                  "",
                  "",
                  {},
                  {Ok("Ready", "it is"), Problem(503, "why not")}});
  rows.push_back({HttpMethod::kGet,
                  "/status",
                  kWatches,
                  "status",
                  "one JSON document: rows, stages, promise, memory, tables",
                  "",
                  "",
                  {},
                  {Ok("Status", "as of now")}});
  rows.push_back({HttpMethod::kGet,
                  "/metrics",
                  kWatches,
                  "metrics",
                  "the same figures for Prometheus",
                  "",
                  "",
                  {},
                  {{200, kText, "Text", "Prometheus' text format"}}});
  rows.push_back({HttpMethod::kGet,
                  "/openapi.json",
                  kOpen,
                  "openApi",
                  "this list as OpenAPI 3.1",
                  "",
                  "",
                  {},
                  {Ok("Object", "the document")}});
  rows.push_back({HttpMethod::kPost,
                  "/debug/flip",
                  kAdministers,
                  "flip",
                  "only with `--demo-faults`: flips a bit of live state, so that `verify` has "
                  "something to find",
                  kJson,
                  "FlipRequest",
                  {},
                  {Ok("Object", "it is flipped"), Problem(404, "no such view or key"),
                   Problem(422, "a request with errors")},
                  true});
}

constexpr SchemaRow
    kSchemas
        [] =
            {
                {"Problem",
                 R"({"type":"object","required":["type","title","status","detail","code","caller_should","context"],"properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"code":{"type":"string"},"caller_should":{"type":"string"},"context":{"type":"object","additionalProperties":{"type":"string"}}}})"},
                {"FeastError",
                 R"({"type":"string","description":"Feast's own errors are JSON documents inside this string: module, class, message"})"},
                {"FieldProblems",
                 R"({"type":"object","required":["detail"],"properties":{"detail":{"type":"array","items":{"type":"object","required":["type","loc","msg"],"properties":{"type":{"type":"string"},"loc":{"type":"array","items":{"type":["string","integer"]}},"msg":{"type":"string"}}}}}})"},
                {"WriteProblems",
                 R"({"anyOf":[{"$ref":"#/components/schemas/FieldProblems"},{"$ref":"#/components/schemas/FeastError"}]})"},
                {"FeatureRequest",
                 R"({"type":"object","required":["entities"],"properties":{"entities":{"type":"object","additionalProperties":{"type":"array","items":{"type":["string","number","boolean","null"]}}},"features":{"type":["array","null"],"items":{"type":"string"}},"feature_service":{"type":["string","null"]},"full_feature_names":{"type":"boolean"},"include_feature_view_version_metadata":{"type":"boolean"},"as_of":{"type":["string","null"]},"min_epoch":{"type":"integer"},"deadline_ms":{"type":"integer"},"mode":{"enum":["strict","feast"]}}})"},
                {"FeatureAnswer",
                 R"({"type":"object","required":["results","metadata","headrace"],"properties":{"results":{"type":"array","items":{"type":"object","required":["values","statuses","event_timestamps"],"properties":{"values":{"type":"array"},"statuses":{"type":"array","items":{"enum":["PRESENT","NULL_VALUE","NOT_FOUND","OUTSIDE_MAX_AGE","INVALID"]}},"event_timestamps":{"type":"array","items":{"type":"string"}}}}},"metadata":{"type":"object","required":["feature_names"],"properties":{"feature_names":{"type":"array","items":{"type":"string"}},"feature_view_metadata":{"type":"array","items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}},"headrace":{"type":"object","required":["epoch","as_of","lag_ms","log","definition","clock"],"properties":{"epoch":{"type":"integer"},"as_of":{"type":"string"},"lag_ms":{"type":["integer","null"]},"lag_status":{"enum":["NEVER_HEARD","NOT_LOOKED_UP"]},"log":{"type":"string"},"definition":{"type":"string"},"clock":{"enum":["wall","events"]}}}}})"},
                {"Frame",
                 R"({"type":"object","additionalProperties":{"type":"array","items":{}}})"},
                {"PushRequest",
                 R"({"type":"object","required":["push_source_name","df"],"properties":{"push_source_name":{"type":"string"},"df":{"$ref":"#/components/schemas/Frame"},"to":{"enum":["online","offline","online_and_offline"]},"allow_registry_cache":{"type":"boolean"},"transform_on_write":{"type":"boolean"}}})"},
                {"WriteRequest",
                 R"({"type":"object","required":["feature_view_name","df"],"properties":{"feature_view_name":{"type":"string"},"df":{"$ref":"#/components/schemas/Frame"},"allow_registry_cache":{"type":"boolean"},"transform_on_write":{"type":"boolean"}}})"},
                {"EventsOutcome",
                 R"({"type":"object","required":["accepted","refused_rows","refused","epoch","durability","repeated"],"properties":{"accepted":{"type":"integer"},"refused_rows":{"type":"integer"},"refused":{"type":"array","items":{"type":"object","required":["row","field","rule","reason"],"properties":{"row":{"type":"integer"},"field":{"type":"string"},"rule":{"type":"string"},"reason":{"type":"string"}}}},"epoch":{"type":"integer"},"durability":{"enum":["fsync","os"]},"repeated":{"type":"boolean"}}})"},
                {"EventsRefused",
                 R"({"anyOf":[{"$ref":"#/components/schemas/EventsOutcome"},{"$ref":"#/components/schemas/Problem"}]})"},
                {"PushedEvent",
                 R"({"type":"object","required":["state"],"properties":{"state":{"enum":["durable","refused","unknown"]},"epoch":{"type":"integer"},"token":{"type":"string"},"kept_in":{"type":"string"}}})"},
                {"PushAnswer",
                 R"({"type":"object","required":["answered","event"],"properties":{"answered":{"enum":["with_event","last_known","defaults","none"]},"event":{"$ref":"#/components/schemas/PushedEvent"},"features":{"type":"object"},"statuses":{"type":"object","additionalProperties":{"enum":["PRESENT","NULL_VALUE","NOT_FOUND","OUTSIDE_MAX_AGE","INVALID","DEFAULT"]}},"age_ms":{"type":"number"},"headrace":{"type":"object"}}})"},
                {"PushRefused",
                 R"({"anyOf":[{"$ref":"#/components/schemas/PushAnswer"},{"$ref":"#/components/schemas/Problem"}]})"},
                {"DeadLetters",
                 R"({"type":"array","items":{"type":"object","required":["epoch","stream","row","field","rule","reason","payload"],"properties":{"epoch":{"type":"integer"},"stream":{"type":"string"},"row":{"type":"integer"},"field":{"type":"string"},"rule":{"type":"string"},"reason":{"type":"string"},"payload":{"type":"string"},"masked":{"enum":[true]},"replayed":{"enum":[true]}}}})"},
                {"ReplayReport",
                 R"({"type":"object","required":["stream","dry_run","replayed","kept","replayed_before","epoch","listed","next"],"properties":{"stream":{"type":"string"},"dry_run":{"type":"boolean"},"replayed":{"type":"integer"},"kept":{"type":"integer"},"replayed_before":{"type":"integer"},"epoch":{"type":["integer","null"]},"listed":{"type":"array","items":{"type":"object","required":["epoch","row","field","rule","reason"],"properties":{"epoch":{"type":"integer"},"row":{"type":"integer"},"field":{"type":"string"},"rule":{"type":"string"},"reason":{"type":"string"}}}},"next":{"type":["string","null"]}}})"},
                {"Views",
                 R"({"type":"object","required":["pipeline","definition","views","on_request","services"],"properties":{"pipeline":{"type":"string"},"definition":{"type":"string"},"views":{"type":"array","items":{"type":"object","required":["name","stream","join_keys","windows","features"],"properties":{"name":{"type":"string"},"stream":{"type":"string"},"join_keys":{"type":"array","items":{"$ref":"#/components/schemas/NameAndType"}},"windows":{"type":"array","items":{"type":"string"}},"ttl":{"type":"string"},"features":{"type":"array","items":{"$ref":"#/components/schemas/NameAndType"}}}}},"on_request":{"type":"array","items":{"type":"object","required":["name","type","expression","inputs"]}},"services":{"type":"array","items":{"type":"object","required":["name","features"],"properties":{"name":{"type":"string"},"features":{"type":"array","items":{"type":"string"}},"aliases":{"type":"object"},"max_lag":{"type":"string"}}}}}})"},
                {"NameAndType",
                 R"({"type":"object","required":["name","type"],"properties":{"name":{"type":"string"},"type":{"type":"string"}}})"},
                {"ChangeRequest",
                 R"({"type":"object","required":["pipeline"],"properties":{"pipeline":{"type":"string"},"contracts":{"type":"object","additionalProperties":{"type":"string"}},"from_now":{},"may_break":{"type":"boolean"}}})"},
                {"DefinitionState",
                 R"({"type":"object","required":["pipeline","definition","epoch"],"properties":{"pipeline":{"type":"string"},"definition":{"type":"string"},"epoch":{"type":"integer"},"change":{"type":"object"}}})"},
                {"DefinitionDiff",
                 R"({"type":"object","required":["pipeline","from","to","changes","possible","streams","views","services","refused"],"properties":{"pipeline":{"type":"string"},"from":{"type":"string"},"to":{"type":"string"},"changes":{"type":"boolean"},"possible":{"type":"boolean"},"streams":{"type":"array"},"views":{"type":"array"},"services":{"type":"array"},"refused":{"type":"array"}}})"},
                {"PastAnswer",
                 R"({"type":"object","required":["results","metadata","headrace"],"properties":{"results":{"type":"array","items":{"type":"object","required":["values","statuses","event_timestamps"]}},"metadata":{"type":"object","required":["feature_names"]},"headrace":{"type":"object","required":["epoch","as_of","log","definition","clock","source","because"],"properties":{"epoch":{"type":"integer"},"as_of":{"type":"string"},"log":{"type":"string"},"definition":{"type":"string"},"clock":{"enum":["wall","events"]},"source":{"enum":["state","table"]},"because":{"type":["string","null"]}}}}})"},
                {"EventsRequest",
                 R"({"type":"object","required":["key"],"properties":{"view":{"type":"string"},"stream":{"type":"string"},"key":{"type":"object","additionalProperties":{"type":["string","number","boolean","null"]}},"last":{"type":"integer"},"epoch":{"type":["integer","null"]},"source":{"enum":["either","state","table"]},"deadline_ms":{"type":"integer"}}})"},
                {"LastEvents",
                 R"({"type":"object","required":["log","epoch","source","because","kept","positions_of","known","rows"],"properties":{"log":{"type":"string"},"epoch":{"type":"integer"},"source":{"enum":["state","table"]},"because":{"type":["string","null"]},"kept":{"type":"string"},"positions_of":{"type":"string"},"known":{"enum":["observed","assumed"]},"rows":{"type":"array","items":{"type":"object","required":["epoch","row","event_time","known_at","values"],"properties":{"epoch":{"type":"integer"},"row":{"type":"integer"},"event_time":{"type":"string"},"known_at":{"type":["string","null"]},"values":{"type":"object"}}}}}})"},
                {"ExplainRequest",
                 R"({"type":"object","required":["view","key","feature"],"properties":{"view":{"type":"string"},"key":{"type":"object","additionalProperties":{"type":["string","number","boolean","null"]}},"feature":{"type":"string"},"epoch":{"type":["integer","null"]},"as_of":{"type":["string","null"]},"limit":{"type":"integer"},"source":{"enum":["either","state","table"]},"served":{},"deadline_ms":{"type":"integer"}}})"},
                {"ExplainedValue",
                 R"({"type":["object","null"],"required":["value","status","event_time"],"properties":{"value":{},"status":{"enum":["PRESENT","NULL_VALUE","NOT_FOUND","OUTSIDE_MAX_AGE","INVALID"]},"event_time":{"type":["string","null"]}}})"},
                {"Explanation",
                 R"({"type":"object","required":["view","feature","computed","key","window","log","epoch","as_of","definition","source","because","table_version","positions_of","recomputed","served","told","same_bits","known","tiles","counts","rows_left_out","rows"],"properties":{"view":{"type":"string"},"feature":{"type":"string"},"computed":{"type":"object","properties":{"aggregate":{"type":"string"},"argument":{"type":["string","null"]},"condition":{"type":["string","null"]},"where":{"type":["string","null"]}}},"key":{"type":"object"},"window":{"type":"object","required":["says","after","until"],"properties":{"says":{"type":"string"},"after":{"type":["string","null"]},"until":{"type":"string"}}},"log":{"type":"string"},"epoch":{"type":"integer"},"as_of":{"type":"string"},"definition":{"type":"string"},"source":{"enum":["state","table"]},"because":{"type":["string","null"]},"table_version":{"type":["integer","null"]},"positions_of":{"type":"string"},"recomputed":{"$ref":"#/components/schemas/ExplainedValue"},"served":{"$ref":"#/components/schemas/ExplainedValue"},"told":{},"same_bits":{"type":["boolean","null"]},"known":{"enum":["observed","assumed"]},"tiles":{"type":["object","null"]},"counts":{"type":"object","additionalProperties":{"type":"integer"}},"rows_left_out":{"type":"integer"},"rows":{"type":"array","items":{"type":"object","required":["epoch","row","event_time","known_at","counts","verdict","why"],"properties":{"epoch":{"type":"integer"},"row":{"type":"integer"},"event_time":{"type":"string"},"known_at":{"type":["string","null"]},"value":{},"condition":{"type":["boolean","null"]},"counts":{"type":"boolean"},"verdict":{"type":"string"},"why":{"type":"string"},"late_by_us":{"type":"integer"}}}}}})"},
                {"Ready",
                 R"({"type":"object","required":["ready"],"properties":{"ready":{"enum":[true]}}})"},
                {"Status",
                 R"({"type":"object","required":["pipeline","state","uptime_s"],"properties":{"pipeline":{"type":"string"},"state":{"type":"string"},"uptime_s":{"type":"number"}}})"},
                {"FlipRequest",
                 R"({"type":"object","required":["view","key"],"properties":{"view":{"type":"string"},"key":{"type":"object"}}})"},
                {"Object", R"({"type":"object"})"},
                {"Null", R"({"type":"null"})"},
                {"Text", R"({"type":"string"})"},
};

}  // namespace

std::span<const RouteRow> RouteTable() {
  static const std::vector<RouteRow> kRoutes = [] {
    std::vector<RouteRow> rows;
    AddFeast(rows);
    AddOwn(rows);
    AddDefinition(rows);
    AddTables(rows);
    AddLookback(rows);
    AddHealth(rows);
    return rows;
  }();
  return kRoutes;
}

void SetRouteNeeds(protocols::HttpRouter& router) {
  for (const RouteRow& row : RouteTable()) router.Need(row.method, row.path, row.need);
}

std::span<const SchemaRow> SchemaTable() { return kSchemas; }

}  // namespace headrace::wiring
