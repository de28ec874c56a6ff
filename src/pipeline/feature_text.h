#pragma once
// Reads the text of a feature, one aggregate with an optional condition: quantile(delay, 0.9, error
// 1%) where kind = 'paid'.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "contract/yaml_document.h"
#include "pipeline/definition.h"
#include "pipeline/expressions/lexer.h"

namespace headrace::pipeline {

// Adds features to one view. Used while its map is read.
class FeatureReader {
 public:
  // Reports an expression's error: node, offset of the expression in its text, the error, "view
  // origin", "flights".
  using ReportExpression =
      std::function<void(const contract::YamlNode&, size_t, const ExpressionError&,
                         const std::string&, const std::string&)>;
  // Features of the view's windows from `first_window` on.
  FeatureReader(ViewDefinition& view, size_t first_window, const StreamDefinition& stream,
                contract::DiagnosticReport& report, ReportExpression report_expression)
      : view_(view),
        windows_(std::span(view.windows).subspan(first_window)),
        stream_(stream),
        report_(report),
        report_expression_(std::move(report_expression)) {}

  // Errors are reported. False when the rest of the map makes no sense either.
  bool Read(const contract::YamlNode& name, const contract::YamlNode& node);

 private:
  // Tokens [begin, end) of the text.
  struct Range {
    size_t begin = 0;
    size_t end = 0;
    bool empty() const { return begin >= end; }
  };
  struct Parts {
    std::vector<Range> arguments;
    Range where;
    bool has_where = false;
  };

  // Of the last rows: the values of an expression, without an aggregate's name.
  bool IsBare() const;
  bool Bare(const contract::YamlNode& node, AggregateSpec& spec, Parts& parts);
  bool Aggregate(const contract::YamlNode& node, AggregateSpec& spec);
  bool FitsWindows(const contract::YamlNode& node);
  bool Split(const contract::YamlNode& node, Parts& parts);
  bool Arguments(const contract::YamlNode& node, const Parts& parts, AggregateSpec& spec);
  bool CountOfArguments(const contract::YamlNode& node, const Parts& parts);
  bool Quantile(const contract::YamlNode& node, const Parts& parts, AggregateSpec& spec);
  bool Size(const contract::YamlNode& node, const Parts& parts, AggregateSpec& spec);
  bool HalfLife(const contract::YamlNode& node, const Parts& parts, AggregateSpec& spec);
  bool RegisterError(const contract::YamlNode& node, const Parts& parts, AggregateSpec& spec);
  // `bounds` says `least` and `most` for people.
  std::optional<double> ErrorIn(const contract::YamlNode& node, Range range, double least,
                                double most, std::string_view bounds);
  bool ResultOf(const contract::YamlNode& node, Range argument, AggregateSpec& spec);
  bool Unclosed(const contract::YamlNode& node);
  // The index of the expression in the view's arguments, where each text is once.
  std::optional<size_t> Argument(const contract::YamlNode& node, Range range);
  void Fail(contract::DiagnosticCode code, const contract::YamlNode& node, Range range,
            const std::string& message, std::string hint = {});
  std::string What() const { return "view " + view_.name; }
  const Token& At(size_t index) const { return tokens_[index]; }
  bool IsSymbol(size_t index, std::string_view symbol) const;

  ViewDefinition& view_;
  const std::span<const Window> windows_;
  const StreamDefinition& stream_;
  contract::DiagnosticReport& report_;
  ReportExpression report_expression_;
  std::vector<Token> tokens_;
  const AggregateRow* row_ = nullptr;
};

}  // namespace headrace::pipeline
