#pragma once
// Reads one pipeline file into a definition. Private to pipeline_file*.cc; a part of the file to
// each of them.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "contract/yaml_document.h"
#include "pipeline/definition.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/pipeline_file_keys.h"
#include "pipeline/streams/from_clause.h"

namespace headrace::pipeline {

// Limits on a file; beyond one is HR0234.
constexpr size_t kStreamsMax = 100;
constexpr size_t kViewsMax = 1'000;
constexpr size_t kWindowsMax = 16;
constexpr int64_t kLastRowsMax = 10'000;  // of `last`
constexpr int64_t kTilesMax = 20'000;  // of a key in the longest window: a late row may copy them
constexpr size_t kFeaturesMax =
    500;  // of a view, of a service after view.* is written out, and under on_request
constexpr size_t kKeyFieldsMax = 8;
constexpr base::Duration kTableLookedAtEvery = std::chrono::milliseconds(100);  // at most
constexpr size_t kPipelineNameMax = 64;                                         // bytes
constexpr int64_t kElementsMax = 1'000;  // of a list that is unnested: `at_most`

// Used once: Run. What was wrong with one part does not stop the others; names that depend on a
// broken part are not complained about again.
class PipelineReader {
 public:
  PipelineReader(std::string_view file_name, std::string_view text, const FileSource& files)
      : report_(file_name), text_(text), files_(files) {}
  CheckedPipeline Run();

 private:
  using Node = contract::YamlNode;

  // The root and what stands alone (pipeline_file.cc).
  void Root(const Node& root);
  void FileVersion(const Node& root);
  void PipelineName(const Node& root);
  void Log(const Node& node);
  // Unknown keys and keys of later versions are errors. False when `node` is no map.
  bool CheckSection(const Node& node, Section section, const std::string& what);
  // The key's value when it is there and this version has it.
  const Node* Find(const Node& map, Section section, std::string_view key) const;
  void ReportExpression(const Node& node, size_t offset, const ExpressionError& error,
                        const std::string& what, const std::string& of_what);
  bool TooMany(const Node& node, size_t count, size_t limit, std::string_view what);

  // Promise and consumers (pipeline_file_promise.cc).
  void Promise(const Node& node);
  void Budget(const Node& node);
  void Outside(const Node& node);
  void OnMiss(const Node& node);
  void Consumer(const Node& name, const Node& node);
  std::optional<AtDeadline> ReadAtDeadline(const Node& node, const std::string& what);
  void ConsumerAtDeadline(const Node& node, const std::string& what, std::optional<size_t> service);
  void ConsumerProvisional(const Node& node, const std::string& what,
                           std::optional<size_t> service);
  void ConsumerPushes(const Node& node, const std::string& what);
  std::optional<double> Percent(const Node& node, const std::string& what);
  std::optional<uint64_t> Size(const Node& node, std::string_view what,
                               uint64_t least = uint64_t{64} << 20);

  // Streams (pipeline_file_streams.cc).
  void Stream(const Node& name, const Node& node);
  contract::ContractRef ReadContract(const Node& node);
  void Source(const Node& node, const std::string& what, StreamDefinition& stream);
  void TableSource(const Node& node, const std::string& what, StreamDefinition& stream);
  bool Time(const Node& node, StreamDefinition& stream);
  // `schema`: of the stream, whose columns may have numbers of keys; null when it has errors.
  void Rate(const Node& node, const std::string& stream, const columns::SchemaRef& schema);
  void History(const Node& node, StreamDefinition& stream);
  bool Arrived(const Node& node, StreamDefinition& stream);
  std::optional<size_t> TimestampField(const Node& node, const std::string& name,
                                       const StreamDefinition& stream);

  // Derived streams (pipeline_file_derived.cc).
  void DerivedStream(const Node& name, const Node& node);
  bool OnlyDerivedKeys(const Node& node, const std::string& what);
  // The source, what is joined to it, and their columns. Nothing after an error.
  std::optional<Derivation> From(const Node& from, const std::string& what);
  std::optional<size_t> FromStream(const Node& from, const Token& name, const std::string& what);
  bool Join(const Node& from, const FromClause::Join& join, const std::string& what,
            Derivation& derivation);
  bool CanBeJoined(const Node& from, const FromClause::Join& join, size_t other,
                   const std::string& what, const Derivation& derivation);
  bool JoinKey(const Node& from, const Token& column, const std::string& what, size_t source,
               size_t other, std::vector<size_t>& key, std::vector<size_t>& other_key);
  void AddDerived(std::string name, Derivation derivation);
  bool MadeByUnnest(size_t stream) const;
  bool UnnestOf(const Node& node, const std::string& what, Derivation& derivation);
  bool Computed(const Node& node, const std::string& what, Derivation& derivation);
  bool Kept(const Node& node, const std::string& what, Derivation& derivation);
  bool DedupeOf(const Node& node, const std::string& what, Derivation& derivation);
  bool KeptColumn(const Node& name, const std::string& what, const Derivation& derivation,
                  std::vector<size_t>& fields);

  // Views (pipeline_file_views.cc) and their features (pipeline_file_features.cc).
  void View(const Node& name, const Node& node);
  bool ViewStream(const Node& node, ViewDefinition& view);
  bool KeyFields(const Node& node, ViewDefinition& view);
  bool Where(const Node& node, ViewDefinition& view);
  // Nothing when `where` is no condition over `schema`, which `of_what` names.
  std::optional<Expression> Condition(const Node& where, const std::string& what,
                                      const columns::SchemaRef& schema, const std::string& of_what);
  // `features` and `last`.
  bool ViewFeatures(const Node& node, ViewDefinition& view, std::vector<std::string>& window_names);
  // Of the windows from `first_window` on.
  bool Features(const Node& node, ViewDefinition& view,
                const std::vector<std::string>& window_names, size_t first_window);
  void Outputs(ViewDefinition& view, const std::vector<std::string>& window_names,
               size_t first_feature, size_t first_window, const Node& node);

  // Windows (pipeline_file_windows.cc). `names`: of the view's windows, what their features end in.
  bool Windows(const Node& node, ViewDefinition& view, std::vector<std::string>& names);
  void Over(const Node& node, ViewDefinition& view, std::vector<std::string>& names);
  // Windows that are told by texts; `like` shows how.
  void WindowTexts(const Node& node, std::string_view key, std::string_view like,
                   ViewDefinition& view, std::vector<std::string>& names);
  static std::optional<Window> Tumbling(std::string_view text, std::string& name);
  static std::optional<Window> Hopping(std::string_view text, std::string& name);
  static std::optional<Window> Session(std::string_view text, std::string& name);
  bool AddWindow(const Node& node, const std::string& what, const Window& window,
                 const std::string& name, ViewDefinition& view, std::vector<std::string>& names);
  void Precision(const Node& node, ViewDefinition& view);
  void Within(const Node& node, ViewDefinition& view);
  void Zone(const Node& node, ViewDefinition& view);
  bool Ending(const Node& node, ViewDefinition& view);
  // `last`, with the features that are of it alone.
  bool LastRows(const Node& node, ViewDefinition& view, std::vector<std::string>& names);

  // Requests and tables (pipeline_file_services.cc).
  void Inputs(const Node& node);
  void OnRequest(const Node& node);
  void OnRequestFeatureNamed(const Node& name, const Node& node, const columns::SchemaRef& all);
  columns::SchemaRef AllFeatures() const;
  void Service(const Node& name, const Node& node);
  void ServiceDefaults(const Node& node, const std::string& what, ServiceDefinition& service);
  void CheckAliases(const std::vector<const Node*>& names, const ServiceDefinition& service);
  void ServiceFeature(const Node& node, ServiceDefinition& service);
  void Table(const Node& name, const Node& node);
  // How the tables are rewritten, which depends on who reads them (pipeline_file_optimize.cc).
  void Optimizing(const Node& root);
  void OptimizeOf(const Node& node, const std::string& what, TableDefinition& table);
  void ZOrder(const Node& node, const std::string& what, const TableDefinition& table,
              OptimizeDefinition& optimize);
  bool Broken(std::string_view feature) const;
  std::optional<columns::Type> ListFeature(std::string_view feature) const;

  // After everything is read (pipeline_file_bounds.cc).
  void CheckBudget(const Node& root);
  void CheckMemory(const Node& root);
  // What a view keeps in memory at the rate that the file says, with this precision.
  StatePrice PriceOf(const ViewDefinition& view, std::optional<base::Duration> precision) const;
  // Of the rows that a derived stream keeps.
  StatePrice PriceOf(const StreamDefinition& stream) const;
  double RowsPerSecond(size_t stream) const;  // 0: the file does not say
  // What may be done about a view that does not fit beside `others`.
  std::string WhatFits(const ViewDefinition& view, double others) const;

  contract::DiagnosticReport report_;
  std::string_view text_;
  const FileSource& files_;
  PipelineDefinition definition_;
  std::vector<contract::Diagnostic> contract_diagnostics_;
  std::map<std::string, std::string> contract_texts_;       // by the name in the file
  std::map<std::string, contract::ContractRef> contracts_;  // null: has errors
  std::set<std::string, std::less<>> broken_streams_;
  std::set<std::string, std::less<>> broken_views_;             // and on_request features
  std::map<std::string, double, std::less<>> rows_per_second_;  // by stream, where the file says it
  // Streams whose rate may be less, since they leave rows out, or another.
  std::set<std::string, std::less<>> uncertain_rates_;
  std::map<std::string, double, std::less<>> keys_;  // likewise; of the entity with the most
  std::vector<StatePrice> prices_;
  std::vector<columns::Field> inputs_;
  std::optional<AtDeadline> promised_at_deadline_;
  std::set<size_t> at_deadline_said_;  // services of which a consumer has said it
  std::set<size_t> provisional_said_;  // likewise
};

}  // namespace headrace::pipeline
