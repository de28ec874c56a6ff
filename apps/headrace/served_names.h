#pragma once
// What a running engine serves, by name, as GET /views lists it: so that a command can say which
// views there are instead of that one is not there.

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "http_calls.h"

namespace headrace::app {

// Names that a question gives values to (join keys, inputs of the request), each with its type; ""
// where the engine tells none.
using InputTypes = std::map<std::string, std::string>;

// A value: the definition in force when it was asked for.
class ServedNames {
 public:
  // Errors: those of the call; kInternal when the answer can't be read.
  static base::Result<ServedNames> Ask(HttpCalls& calls);
  // Of the text that GET /views answers.
  static base::Result<ServedNames> Of(const std::string& views);

  std::string pipeline() const { return "pipeline " + json_.value("pipeline", ""); }
  std::vector<std::string> views() const { return NamesOf("views"); }
  std::vector<std::string> on_request() const { return NamesOf("on_request"); }
  std::vector<std::string> services() const { return NamesOf("services"); }
  bool HasView(const std::string& name) const { return Find("views", name) != nullptr; }
  bool HasOnRequest(const std::string& name) const { return Find("on_request", name) != nullptr; }
  bool HasService(const std::string& name) const { return Find("services", name) != nullptr; }
  // Of a view; none of one that is not there.
  std::vector<std::string> FeaturesOf(const std::string& view) const;

  // kNotFound with the names that there are.
  base::Result<void> CheckView(const std::string& name) const;
  base::Result<void> CheckFeature(const std::string& view, const std::string& feature) const;
  base::Result<void> CheckService(const std::string& name) const;

  InputTypes InputsOfView(const std::string& name) const;
  InputTypes InputsOfOnRequest(const std::string& name) const;
  InputTypes InputsOfService(const std::string& name) const;

 private:
  explicit ServedNames(nlohmann::json json) : json_(std::move(json)) {}
  std::vector<std::string> NamesOf(const char* kind) const;
  const nlohmann::json* Find(const char* kind, const std::string& name) const;

  nlohmann::json json_;
};

}  // namespace headrace::app
