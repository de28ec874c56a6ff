#include "watch/status_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include <fmt/format.h>

#include "columns/key.h"
#include "contract/contract.h"

namespace headrace::watch {
namespace {

class StatusDocumentTest : public testing::Test {
 protected:
  StatusDocumentTest() {
    definition_.name = "flights";
    definition_.clock = log::ClockMode::kEvents;
    definition_.promise.outside = {{"model", std::chrono::milliseconds(50)}};
    for (int i = 0; i < 100; ++i) {
      sync_.Record(1500);
      durable_.Record(2000);
      visible_.Record(100);
      end_to_end_.Record(2100);
    }
  }
  // Whatever was recorded so far is no longer recent.
  void ForgetRecent() {
    for (const base::Histogram* us : Measured()) us->CopyCounts(*Earlier(us));
  }
  StatusFigures Figures() {
    StatusFigures figures{.definition = definition_,
                          .uptime = std::chrono::seconds(3),
                          .visible = {7},
                          .sync_us = sync_,
                          .durable_us = durable_,
                          .visible_us = visible_,
                          .end_to_end_us = end_to_end_,
                          .serve_us = serve_,
                          .recent = Recent(),
                          .budget = budget_,
                          .memory = {100U << 20, 200U << 20}};
    figures.log.rows_accepted = 10;
    figures.log.durable = {8};
    figures.views = {{"origin", 5, 50, 500, {}, {}}};
    figures.tables.push_back({.name = "flights",
                              .folder = "tables/flights",
                              .state = "running",
                              .reason = {},
                              .committed = {6},
                              .pending_rows = 2,
                              .commits = 4,
                              .files = 5,
                              .rows = 1000,
                              .bytes = 20'000,
                              .log_bytes = 5'000,
                              .layer = plan::LayerKind::kServing,
                              .readers = {"consumer dashboard"},
                              .visible_us = &sync_,
                              .optimize = {.bytes_made = 15'000}});
    figures.dead_letters["flights"]["range"] = 3;
    figures.dead_letters_replayed["flights"] = 2;
    return figures;
  }

  // The view `origin`, by origin and one more field.
  void DefineOrigin(const std::string& field) {
    const auto parsed = contract::Contract::Parse("flights.yaml", R"(apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
schema:
  - name: flights
    logicalType: object
    properties:
      - {name: landed_at, logicalType: timestamp, required: true}
      - {name: origin, logicalType: string, required: true}
      - )" + field + "\n",
                                                  "");
    ASSERT_NE(parsed.contract, nullptr);
    definition_.streams.push_back({.name = "flights", .contract = parsed.contract});
    definition_.views.push_back({.name = "origin", .entity = "origin", .by = {1, 2}});
  }

  // As one moment tells it, 97 s after what was forgotten.
  RecentFigures Recent() {
    RecentFigures recent;
    recent.span = std::chrono::seconds(97);
    for (const base::Histogram* us : Measured())
      recent.samples.emplace(us, RecentSamples(Earlier(us), *us));
    return recent;
  }

  pipeline::PipelineDefinition definition_;
  base::MemoryBudget budget_{1U << 30};
  base::Histogram sync_, durable_, visible_, end_to_end_, serve_;

 private:
  std::vector<const base::Histogram*> Measured() const {
    return {&sync_, &durable_, &visible_, &end_to_end_, &serve_};
  }
  std::shared_ptr<base::Histogram::Counts> Earlier(const base::Histogram* us) {
    auto& counts = earlier_[us];
    if (!counts) counts = std::make_shared<base::Histogram::Counts>();
    return counts;
  }
  std::map<const base::Histogram*, std::shared_ptr<base::Histogram::Counts>> earlier_;
};

TEST_F(StatusDocumentTest, HasWhatTheDemoReads) {
  const auto json = nlohmann::json::parse(StatusJson(Figures()));
  EXPECT_EQ(json["rows"]["accepted"], 10);
  EXPECT_EQ(json["epoch"], 7);
  EXPECT_EQ(json["log"]["epoch"], 8);
  EXPECT_NEAR(json["fdatasync"]["p99_ms"].get<double>(), 1.5, 0.06);
  EXPECT_NEAR(json["stages"]["ingest"]["p50_ms"].get<double>(), 2.0, 0.1);
  EXPECT_TRUE(json["stages"]["visible"].contains("worst_ms"));
  EXPECT_EQ(json["stages"]["serve"]["count"], 0);
  EXPECT_EQ(json["memory"]["peak_mb"], 200.0);
  EXPECT_EQ(json["memory"]["budget_mb"], 1024.0);
  EXPECT_EQ(json["tables"][0]["name"], "flights");
  EXPECT_EQ(json["tables"][0]["committed_epoch"], 6);
  EXPECT_EQ(json["tables"][0]["pending_rows"], 2);
  EXPECT_EQ(json["dead_letters"]["flights"]["range"], 3);
  EXPECT_EQ(json["dead_letters_replayed"]["flights"], 2);
}

TEST_F(StatusDocumentTest, SaysWhatALayerCosts) {
  const auto layer = nlohmann::json::parse(StatusJson(Figures()))["tables"][0]["layer"];
  EXPECT_EQ(layer["kind"], "serving");
  EXPECT_EQ(layer["readers"], nlohmann::json::array({"consumer dashboard"}));
  EXPECT_FALSE(layer.contains("advice"));
  EXPECT_NEAR(layer["visible"]["p50_ms"].get<double>(), 1.5, 0.06);
  EXPECT_EQ(layer["written_bytes"], 40'000);
  EXPECT_EQ(layer["bytes_per_row"], 40.0);
  EXPECT_EQ(layer["rows_per_file"], 200.0);
  EXPECT_EQ(layer["write_amplification"], 2.0);
  StatusFigures unread = Figures();
  unread.tables[0].readers.clear();
  unread.tables[0].advice = "nobody";
  EXPECT_EQ(nlohmann::json::parse(StatusJson(unread))["tables"][0]["layer"]["advice"], "nobody");
}

// Folders, paths and messages are bytes of anybody's making.
TEST_F(StatusDocumentTest, TextsThatAreNotUtf8AreShownAllTheSame) {
  const std::string latin = "caf\xe9";
  const std::string shown = "caf\xef\xbf\xbd";
  StatusFigures figures = Figures();
  figures.tables[0].folder = latin;
  figures.tables[0].reason = latin;
  figures.change.state = ChangeFigures::State::kFailed;
  figures.change.error = base::Error(base::ErrorCode::kIoError, latin).With("file", latin);
  figures.tls = TlsFigures{.subject = latin, .problem = latin};
  const auto json = nlohmann::json::parse(StatusJson(figures));
  EXPECT_EQ(json["tables"][0]["folder"], shown);
  EXPECT_EQ(json["change"]["error"]["context"]["file"], shown);
  EXPECT_EQ(json["tls"]["problem"], shown);
  EXPECT_EQ(nlohmann::json::parse(StartingStatusJson(latin, {}))["pipeline"], shown);
}

TEST_F(StatusDocumentTest, NamesHotKeysByTheirFields) {
  DefineOrigin("{name: gate, logicalType: integer}");
  StatusFigures figures = Figures();
  EXPECT_FALSE(nlohmann::json::parse(StatusJson(figures))["views"][0].contains("hot_keys"));
  columns::KeyBytes key;
  columns::AppendKeyValue(key, columns::Value::String("ATL"));
  columns::AppendKeyValue(key, columns::Value::Int64(7));
  figures.views[0].hot_keys.push_back({key, 0.38049});
  const auto hot = nlohmann::json::parse(StatusJson(figures))["views"][0]["hot_keys"];
  ASSERT_EQ(hot.size(), 1U);
  EXPECT_EQ(hot[0]["key"], (nlohmann::json{{"origin", "ATL"}, {"gate", 7}}));
  EXPECT_EQ(hot[0]["share"], 0.38);
  EXPECT_NE(StatusMetrics(figures).find("hottest_key_share{view=\"origin\"} 0.38"),
            std::string::npos);
}

TEST_F(StatusDocumentTest, HidesRestrictedValuesOfHotKeys) {
  DefineOrigin("{name: mail, logicalType: string, classification: restricted}");
  StatusFigures figures = Figures();
  columns::KeyBytes key;
  columns::AppendKeyValue(key, columns::Value::String("ATL"));
  columns::AppendKeyValue(key, columns::Value::String("a@b"));
  figures.views[0].hot_keys.push_back({key, 0.5});
  const auto hot = nlohmann::json::parse(StatusJson(figures))["views"][0]["hot_keys"];
  EXPECT_EQ(hot[0]["key"], (nlohmann::json{{"origin", "ATL"}, {"mail", "***"}}));
}

// By the fields of the rows that come in: the other's of the other.
TEST_F(StatusDocumentTest, NamesHotKeysOfJoinsAndDedupes) {
  DefineOrigin("{name: mail, logicalType: string, classification: restricted}");
  definition_.streams.push_back(definition_.streams[0]);
  definition_.streams[1].name = "landings";
  auto derivation = std::make_shared<pipeline::Derivation>();
  derivation->source = 0;
  derivation->interval = {.stream = 1, .key = {1, 2}, .other_key = {1, 2}};
  derivation->schema = definition_.streams[0].schema();
  std::vector<columns::Field> fields = derivation->schema->fields();
  for (const char* name : {"landings.landed_at", "landings.origin", "landings.mail", "joined_at"})
    fields.push_back({static_cast<uint32_t>(fields.size() + 1), name, columns::Type::kString});
  derivation->input = derivation->unnested = derivation->wide =
      std::make_shared<const columns::Schema>(std::move(fields));
  derivation->kept = {0, 1, 2};
  derivation->dedupe = {.by = {1}};
  definition_.streams.push_back({.name = "once", .derivation = derivation});
  StatusFigures figures = Figures();
  pipeline::DerivedStreamStatus status;
  status.name = "once";
  status.join = pipeline::DerivedStreamStatus::Join::kInterval;
  status.dedupes = true;
  figures.derived_streams.push_back(status);
  const auto json = [&] {
    return nlohmann::json::parse(StatusJson(figures))["derived_streams"][0];
  };
  EXPECT_FALSE(json()["within"].contains("hot_keys"));
  EXPECT_FALSE(json()["within"].contains("other_hot_keys"));
  EXPECT_FALSE(json()["dedupe"].contains("hot_keys"));
  columns::KeyBytes origin, both;
  columns::AppendKeyValue(origin, columns::Value::String("ATL"));
  both = origin;
  columns::AppendKeyValue(both, columns::Value::String("a@b"));
  figures.derived_streams[0].hot_keys = {{both, 0.3}};
  figures.derived_streams[0].other_hot_keys = {{both, 0.2}};
  figures.derived_streams[0].dedupe_hot_keys = {{origin, 0.1004}};
  const nlohmann::json hidden = {{"origin", "ATL"}, {"mail", "***"}};
  EXPECT_EQ(json()["within"]["hot_keys"],
            nlohmann::json::array({{{"key", hidden}, {"share", 0.3}}}));
  EXPECT_EQ(json()["within"]["other_hot_keys"],
            nlohmann::json::array({{{"key", hidden}, {"share", 0.2}}}));
  EXPECT_EQ(json()["dedupe"]["hot_keys"],
            nlohmann::json::array({{{"key", {{"origin", "ATL"}}}, {"share", 0.1}}}));
  const std::string metrics = StatusMetrics(figures);
  for (const char* line :
       {"{stream=\"once\",keys=\"join\"} 0.3\n", "{stream=\"once\",keys=\"join_other\"} 0.2\n",
        "{stream=\"once\",keys=\"dedupe\"} 0.1004\n"})
    EXPECT_NE(metrics.find(std::string("derived_hottest_key_share") + line), std::string::npos)
        << line;
}

TEST_F(StatusDocumentTest, SaysWhatTilesTake) {
  StatusFigures figures = Figures();
  EXPECT_FALSE(nlohmann::json::parse(StatusJson(figures))["views"][0].contains("tiles"));
  EXPECT_EQ(StatusMetrics(figures).find("folds_total"), std::string::npos);
  figures.views[0].tiles = {.bytes = 400, .folds = 3, .rows = 80, .late_rows = 1};
  const auto tiles = nlohmann::json::parse(StatusJson(figures))["views"][0]["tiles"];
  EXPECT_EQ(tiles, (nlohmann::json{{"bytes", 400}, {"folds", 3}, {"rows", 80}, {"late_rows", 1}}));
  const std::string metrics = StatusMetrics(figures);
  for (const char* line :
       {"view_tile_bytes{view=\"origin\"} 400\n", "view_folds_total{view=\"origin\"} 3\n",
        "view_folded_rows_total{view=\"origin\"} 80\n",
        "view_late_tile_rows_total{view=\"origin\"} 1\n"})
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
}

TEST_F(StatusDocumentTest, NamesExpressionsThatFail) {
  auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "n", columns::Type::kInt64}});
  auto expression = pipeline::Expression::Compile("10 / n", schema);
  ASSERT_TRUE(expression);
  definition_.on_request.push_back({"ratio", schema, std::move(*expression)});
  EXPECT_TRUE(nlohmann::json::parse(StatusJson(Figures()))["failed_expressions"].empty());
  const std::vector<columns::Value> zero = {columns::Value::Int64(0)};
  for (int i = 0; i < 2; ++i) (void)definition_.on_request[0].expression.Evaluate(zero);
  const auto failed = nlohmann::json::parse(StatusJson(Figures()))["failed_expressions"];
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0]["of"], "on_request ratio");
  EXPECT_EQ(failed[0]["text"], "10 / n");
  EXPECT_EQ(failed[0]["failed_rows"], 2);
  EXPECT_NE(StatusMetrics(Figures()).find(
                "headrace_pipeline_expression_failed_rows_total{of=\"on_request ratio\"} 2"),
            std::string::npos);
}

TEST_F(StatusDocumentTest, JudgesThePromise) {
  const auto promise = nlohmann::json::parse(StatusJson(Figures()))["promise"];
  EXPECT_EQ(promise["ours_ms"], 150.0);
  EXPECT_EQ(promise["together"]["verdict"], "kept");
  EXPECT_EQ(promise["stages"]["ingest"]["given_ms"], 50.0);
  EXPECT_EQ(promise["stages"]["serve"]["verdict"], "unmeasured");
}

TEST_F(StatusDocumentTest, JudgesByWhatIsRecent) {
  for (int i = 0; i < 1000; ++i) end_to_end_.Record(900'000);
  const auto json = [&] { return nlohmann::json::parse(StatusJson(Figures())); };
  EXPECT_EQ(json()["promise"]["together"]["verdict"], "slipped");
  EXPECT_EQ(json()["verdict"]["state"], "slipping");
  ForgetRecent();
  for (int i = 0; i < 100; ++i) end_to_end_.Record(4'000);
  const auto mended = json();
  EXPECT_EQ(mended["promise"]["together"]["verdict"], "kept");
  EXPECT_NEAR(mended["promise"]["together"]["measured_ms"].get<double>(), 4.0, 0.2);
  EXPECT_NEAR(mended["promise"]["together"]["since_start_ms"].get<double>(), 900, 30);
  EXPECT_EQ(mended["verdict"]["state"], "healthy");
  EXPECT_EQ(mended["recent"]["span_s"], 97.0);
  EXPECT_EQ(mended["recent"]["stages"]["visible"]["count"], 100);
  EXPECT_NEAR(mended["recent"]["stages"]["visible"]["worst_ms"].get<double>(), 4.0, 0.2);
  EXPECT_EQ(mended["stages"]["visible"]["count"], 1200) << "since the start";
  EXPECT_EQ(mended["stages"]["visible"]["worst_ms"], 900.0);
}

TEST_F(StatusDocumentTest, AGoodHistoryHidesNoBadMinute) {
  for (int i = 0; i < 1'000'000; ++i) end_to_end_.Record(2'000);
  ForgetRecent();
  for (int i = 0; i < 100; ++i) end_to_end_.Record(900'000);
  const auto json = nlohmann::json::parse(StatusJson(Figures()));
  EXPECT_EQ(json["verdict"]["state"], "slipping");
  EXPECT_NEAR(json["promise"]["together"]["since_start_ms"].get<double>(), 2.0, 0.2);
}

TEST_F(StatusDocumentTest, SaysWhenNothingIsRecent) {
  ForgetRecent();
  const auto json = nlohmann::json::parse(StatusJson(Figures()));
  EXPECT_EQ(json["recent"]["stages"]["ingest"], nlohmann::json({{"count", 0}}));
  EXPECT_EQ(json["promise"]["together"]["verdict"], "unmeasured");
  EXPECT_FALSE(json["promise"]["together"].contains("measured_ms"));
  EXPECT_EQ(json["verdict"]["state"], "healthy");
  EXPECT_THAT(json["verdict"]["says"].get<std::string>(),
              ::testing::StartsWith("no recent events; since the start p99 is 2.1 ms of 150 ms"));
  end_to_end_.Reset();
  ForgetRecent();
  EXPECT_THAT(nlohmann::json::parse(StatusJson(Figures()))["verdict"]["says"].get<std::string>(),
              ::testing::StartsWith("nothing measured yet of the promised 150 ms"));
}

TEST_F(StatusDocumentTest, BeginsWithAVerdict) {
  const auto verdict = [](const StatusFigures& figures) {
    return nlohmann::json::parse(StatusJson(figures))["verdict"];
  };
  StatusFigures figures = Figures();
  figures.tables[0].lag = std::chrono::milliseconds(2'100);
  figures.snapshots.recovery = std::chrono::seconds(30);
  figures.snapshots.recovery_estimate = std::chrono::milliseconds(400);
  const auto healthy = verdict(figures);
  EXPECT_EQ(healthy["state"], "healthy");
  EXPECT_TRUE(healthy["findings"].empty());
  EXPECT_THAT(healthy["says"].get<std::string>(),
              ::testing::MatchesRegex(
                  "p99 is [0-9.]+ ms of 150 ms in the last 1m37s, 1 table 2.1 s behind, a start "
                  "would take 400 ms of 30.0 s"));
}

TEST_F(StatusDocumentTest, TheVerdictNamesTheWorstAndWhatHelps) {
  for (int i = 0; i < 100; ++i) end_to_end_.Record(900'000);
  for (int i = 0; i < 100; ++i) durable_.Record(880'000);
  StatusFigures figures = Figures();
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(figures))["verdict"]; };
  const auto slipping = verdict();
  EXPECT_EQ(slipping["state"], "slipping");
  EXPECT_THAT(slipping["says"].get<std::string>(),
              ::testing::MatchesRegex("p99 is [0-9]+ ms of 150 ms in the last 1m37s; the longest "
                                      "stage is ingest, [0-9]+ ms of 50 ms"));
  EXPECT_THAT(slipping["findings"][0]["next"].get<std::string>(),
              ::testing::HasSubstr("fdatasync"));

  figures.snapshots.bound_holds = false;
  figures.tables[0].state = "stopped";
  figures.tables[0].reason = "somebody removed it";
  const auto stopped = verdict();
  EXPECT_EQ(stopped["state"], "stopped");
  EXPECT_EQ(stopped["says"], "table flights is stopped, 0.0 ms behind: somebody removed it");
  ASSERT_EQ(stopped["findings"].size(), 3U);
  EXPECT_EQ(stopped["findings"][2]["state"], "slipping");
}

TEST_F(StatusDocumentTest, TheVerdictSeesAFullLogAndAReadOnlyOne) {
  StatusFigures figures = Figures();
  figures.log.log_bytes_max = 1'000;
  figures.log.log_bytes = 950;
  figures.retention.held_by = "table flights";
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(figures))["verdict"]; };
  EXPECT_EQ(verdict()["says"],
            "the log has 95 % of its bytes_max; it keeps its rows because of: table flights");
  figures.log.read_only = true;
  figures.log.read_only_reason = "a sync failed";
  EXPECT_EQ(verdict()["state"], "stopped");
  EXPECT_EQ(verdict()["says"], "the log takes no rows: a sync failed");
}

// Rows are refused from 29/32 of this budget on.
TEST_F(StatusDocumentTest, TheVerdictKnowsWhenRowsAreRefused) {
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(Figures()))["verdict"]; };
  const auto hold = [&](double share) {
    budget_.SetUncharged(static_cast<uint64_t>(share * (1U << 30)));
  };
  hold(0.815);
  EXPECT_EQ(verdict()["state"], "healthy");
  hold(0.82);
  EXPECT_EQ(verdict()["state"], "slipping");
  EXPECT_EQ(verdict()["says"],
            "memory is 82.0 % of its budget: rows are refused from 90.6 % on (429)");
  hold(0.905);
  EXPECT_TRUE(budget_.TryCharge(base::MemoryAccount::kIngest, 1));
  hold(0.907);
  EXPECT_FALSE(budget_.TryCharge(base::MemoryAccount::kIngest, 1));
  EXPECT_EQ(verdict()["says"], "memory is 90.7 % of its budget: rows are refused (429)");
}

TEST_F(StatusDocumentTest, TheVerdictTellsALateStartFromOneThatWillBe) {
  StatusFigures figures = Figures();
  const auto says = [&] {
    return nlohmann::json::parse(StatusJson(figures))["verdict"]["says"].get<std::string>();
  };
  figures.snapshots.recovery = std::chrono::seconds(3);
  figures.snapshots.recovery_estimate = std::chrono::seconds(2);
  figures.snapshots.bound_holds = false;
  EXPECT_EQ(says(),
            "at the present rate snapshots can't keep a start within the 3.0 s of `recovery`");
  figures.snapshots.recovery_estimate = std::chrono::seconds(5);
  EXPECT_EQ(says(), "a start would take 5.0 s, more than the 3.0 s of `recovery`");
  figures.snapshots.bound_holds = true;
  EXPECT_EQ(says(), "a start would take 5.0 s, more than the 3.0 s of `recovery`");
}

TEST_F(StatusDocumentTest, TheVerdictSeesWhatTlsAndAChangeSay) {
  StatusFigures figures = Figures();
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(figures))["verdict"]; };
  figures.change.state = ChangeFigures::State::kFailed;
  figures.change.error = base::Error(base::ErrorCode::kIoError, "no room");
  EXPECT_EQ(verdict()["state"], "slipping");
  EXPECT_THAT(verdict()["says"].get<std::string>(), ::testing::HasSubstr("no room"));
  figures.tls = TlsFigures{.left = std::chrono::hours(24), .notice = std::chrono::hours(48)};
  EXPECT_EQ(verdict()["findings"][0]["what"], "the TLS certificate expires soon");
  EXPECT_EQ(nlohmann::json::parse(TlsJson(*figures.tls))["warning"],
            "the TLS certificate expires soon; put a new one in its place");
  figures.tls->left = -std::chrono::hours(1);
  EXPECT_EQ(verdict()["state"], "stopped");
  figures.tls->left = std::chrono::hours(72);
  figures.tls->flight_problem = "a key that fits no certificate";
  EXPECT_EQ(verdict()["says"], "nobody listens for Flight: a key that fits no certificate");
}

TEST_F(StatusDocumentTest, TheVerdictTellsWhatStoppedFromWhatTriesAgain) {
  StatusFigures figures = Figures();
  figures.tables[0].reason = "no room";
  figures.sources.push_back({.stream = "shops", .folder = "lake/shops", .reason = "gone"});
  for (const auto& [state, word, verdict] :
       {std::tuple("stopped", "stopped", "stopped"), {"retrying", "trying again", "slipping"}}) {
    figures.tables[0].state = figures.sources[0].state = state;
    const auto json = nlohmann::json::parse(StatusJson(figures))["verdict"];
    EXPECT_EQ(json["state"], verdict);
    ASSERT_EQ(json["findings"].size(), 2U);
    EXPECT_EQ(json["findings"][0]["what"],
              fmt::format("table flights is {}, 0.0 ms behind: no room", word));
    EXPECT_EQ(json["findings"][1]["what"], fmt::format("the source of shops is {}: gone", word));
  }
}

TEST_F(StatusDocumentTest, TheVerdictSeesWhatIsDurableAndNotVisible) {
  StatusFigures figures = Figures();
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(figures))["verdict"]; };
  figures.backlog_rows = 1'200;
  figures.backlog_age = std::chrono::milliseconds(5'000);
  EXPECT_EQ(nlohmann::json::parse(StatusJson(figures))["backlog_age_ms"], 5'000.0);
  EXPECT_NE(StatusMetrics(figures).find("headrace_pipeline_backlog_age_seconds 5\n"),
            std::string::npos);
  EXPECT_EQ(verdict()["state"], "healthy");
  figures.backlog_age += std::chrono::milliseconds(100);
  EXPECT_EQ(verdict()["state"], "slipping");
  EXPECT_EQ(
      verdict()["says"],
      "what is durable has not been visible for 5.1 s, 1,200 rows wait: they come faster than "
      "they are applied");
  EXPECT_THAT(verdict()["findings"][0]["next"].get<std::string>(),
              ::testing::HasSubstr("hot_keys"));
  figures.change.state = ChangeFigures::State::kBuilding;
  EXPECT_THAT(verdict()["says"].get<std::string>(),
              ::testing::EndsWith("while views are built from their history"));
  figures.step_age = std::chrono::milliseconds(5'050);
  EXPECT_EQ(verdict()["state"], "stopped");
  EXPECT_EQ(
      verdict()["says"],
      "what is durable has not been visible for 5.1 s, 1,200 rows wait: the step that applies "
      "them began 5.0 s ago and does not end");
  definition_.promise.budget = std::chrono::seconds(1);
  EXPECT_EQ(verdict()["state"], "healthy") << "10 s are promised tenfold";
}

TEST_F(StatusDocumentTest, TheVerdictSeesATableThatIsFarBehind) {
  StatusFigures figures = Figures();
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(figures))["verdict"]; };
  TableFigures& table = figures.tables[0];
  figures.uptime = std::chrono::hours(1);
  table.commit_every = std::chrono::seconds(1);
  table.lag = std::chrono::minutes(5);
  EXPECT_EQ(verdict()["state"], "healthy");
  table.lag += std::chrono::seconds(1);
  EXPECT_EQ(verdict()["state"], "slipping");
  EXPECT_EQ(verdict()["says"],
            "table flights is 5m behind, 2 rows wait, though a commit is due every 1s");
  EXPECT_THAT(verdict()["findings"][0]["next"].get<std::string>(),
              ::testing::HasSubstr("the disk of tables/flights"));
  table.commit_p99_us = 70'000'000;
  EXPECT_THAT(verdict()["says"].get<std::string>(),
              ::testing::EndsWith("every 1s: one takes 70.0 s at p99"));
  table.state = "starting";
  EXPECT_THAT(verdict()["says"].get<std::string>(), ::testing::EndsWith(": it is not open yet"));
  table.state = "retrying";
  EXPECT_EQ(verdict()["findings"].size(), 1U) << "it says why already";
  table.state = "running";
  table.commit_every = std::chrono::minutes(1);
  EXPECT_EQ(verdict()["state"], "healthy") << "10 of its intervals are 10 min";
  table.commit_every = std::chrono::seconds(1);
  figures.uptime = std::chrono::minutes(4);
  EXPECT_EQ(verdict()["state"], "healthy") << "the rows are of the life before";
  figures.uptime = std::chrono::hours(1);
  table.pending_rows = 0;
  EXPECT_EQ(verdict()["state"], "healthy");
}

// Of a few batches one slow one says nothing.
TEST_F(StatusDocumentTest, TheVerdictWaitsForEnoughBatches) {
  end_to_end_.Reset();
  durable_.Reset();
  for (int i = 0; i < 99; ++i) end_to_end_.Record(900'000);
  for (int i = 0; i < 99; ++i) durable_.Record(880'000);
  const auto verdict = [&] { return nlohmann::json::parse(StatusJson(Figures()))["verdict"]; };
  EXPECT_EQ(verdict()["state"], "healthy");
  EXPECT_THAT(verdict()["says"].get<std::string>(),
              ::testing::MatchesRegex("p99 of 99 recent batches is [0-9]+ ms of 150 ms, too few to "
                                      "judge by, 1 table.*"));
  end_to_end_.Record(900'000);
  EXPECT_EQ(verdict()["state"], "slipping");
}

TEST(StartingStatus, SaysThatItStarts) {
  log::RecoveryFigures recovery;
  recovery.phase = log::RecoveryPhase::kLog;
  recovery.left = std::chrono::seconds(3);
  const auto verdict = nlohmann::json::parse(StartingStatusJson("shop", recovery))["verdict"];
  EXPECT_EQ(verdict["state"], "starting");
  EXPECT_EQ(verdict["says"], "reading the log, about 3 s left");
}

TEST_F(StatusDocumentTest, WritesPrometheusText) {
  const std::string text = StatusMetrics(Figures());
  EXPECT_NE(
      text.find(
          "# TYPE headrace_log_rows_accepted_total counter\nheadrace_log_rows_accepted_total 10\n"),
      std::string::npos);
  EXPECT_NE(text.find("headrace_log_dead_letters_total{stream=\"flights\",rule=\"range\"} 3\n"),
            std::string::npos);
  EXPECT_NE(text.find("headrace_log_dead_letters_replayed_total{stream=\"flights\"} 2\n"),
            std::string::npos);
  EXPECT_NE(text.find("headrace_pipeline_view_keys{view=\"origin\"} 5\n"), std::string::npos);
  EXPECT_NE(text.find("headrace_log_fdatasync_seconds_count 100\n"), std::string::npos);
  EXPECT_NE(text.find("headrace_tables_pending_rows{table=\"flights\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("headrace_tables_log_bytes_total{table=\"flights\"} 5000\n"),
            std::string::npos);
  EXPECT_NE(text.find("headrace_tables_visible_seconds_count{table=\"flights\"} 100\n"),
            std::string::npos);
}

TEST(SourceFiguresTest, TellHowFarASourceIsBehind) {
  SourceFigures source{
      .stream = "shops", .folder = "lake/shops", .state = "retrying", .reason = "gone"};
  source.taken = 4;
  source.newest = 9;
  source.waiting_rows = 70;
  source.errors = 2;
  source.last_error = "gone";
  source.last_error_at = base::Timestamp{0};
  const auto json = SourceJson(source);
  EXPECT_EQ(json["lag_versions"], 5);
  EXPECT_EQ(json["lag_rows"], 70);
  EXPECT_EQ(json["errors"], 2);
  EXPECT_EQ(json["last_error"]["reason"], "gone");
  EXPECT_EQ(json["last_error"]["at"], "1970-01-01T00:00:00Z");
  source.taken.reset();
  EXPECT_EQ(source.waiting_versions(), 10U);
}

TEST(MetricsTextTest, WritesHelpOnceAndEscapesLabels) {
  MetricsText text;
  text.Counter("headrace_x_y_total", "What.", 1, {{"name", "a\"b\\c"}});
  text.Counter("headrace_x_y_total", "What.", 2, {{"name", "d"}});
  EXPECT_EQ(text.Take(),
            "# HELP headrace_x_y_total What.\n# TYPE headrace_x_y_total counter\n"
            "headrace_x_y_total{name=\"a\\\"b\\\\c\"} 1\nheadrace_x_y_total{name=\"d\"} 2\n");
}

}  // namespace
}  // namespace headrace::watch
