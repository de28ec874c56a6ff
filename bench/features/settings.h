#pragma once
// A program's `--name value` arguments.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

namespace headrace::bench {

class Settings {
 public:
  Settings(int count, char** arguments) {
    for (int i = 1; i + 1 < count; i += 2) given_[arguments[i]] = arguments[i + 1];
  }
  std::string Text(const std::string& name, const std::string& otherwise) const {
    const auto found = given_.find("--" + name);
    return found == given_.end() ? otherwise : found->second;
  }
  double Number(const std::string& name, double otherwise) const {
    return std::atof(Text(name, std::to_string(otherwise)).c_str());
  }
  uint64_t Count(const std::string& name, uint64_t otherwise) const {
    return std::strtoull(Text(name, std::to_string(otherwise)).c_str(), nullptr, 10);
  }

 private:
  std::map<std::string, std::string> given_;
};

}  // namespace headrace::bench
