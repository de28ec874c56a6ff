#include "pipeline/reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace headrace::pipeline {
namespace {

// This file is src/pipeline/reference_test.cc of the checkout.
std::filesystem::path Folder() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "docs" /
         "reference";
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Reference, CommittedPagesAreWhatTheCodeSays) {
  const char* rewrite = std::getenv("HEADRACE_REWRITE");
  for (const ReferencePage& page : ReferencePages()) {
    const std::filesystem::path path = Folder() / page.file;
    if (rewrite != nullptr && std::string_view(rewrite) == "1")
      std::ofstream(path, std::ios::binary) << page.text;
    EXPECT_TRUE(ReadFile(path) == page.text)
        << page.file << " is out of date: run the tests once with HEADRACE_REWRITE=1";
  }
}

TEST(Reference, SchemaIsJson) {
  for (const ReferencePage& page : ReferencePages()) {
    if (!page.file.ends_with(".json")) continue;
    const auto json = nlohmann::json::parse(page.text, nullptr, false);
    ASSERT_FALSE(json.is_discarded());
    EXPECT_TRUE(json["$defs"]["view"]["properties"].contains("over"));
    EXPECT_FALSE(json["$defs"]["pipeline"]["properties"].contains("releases"))
        << "not in this version";
  }
}

// A map that the schema speaks of and does not have is none to an editor.
TEST(Reference, SchemaHasWhatItRefersTo) {
  for (const ReferencePage& page : ReferencePages()) {
    if (!page.file.ends_with(".json")) continue;
    const auto json = nlohmann::json::parse(page.text).flatten();
    size_t references = 0;
    for (const auto& [path, value] : json.items()) {
      if (!path.ends_with("/$ref")) continue;
      ++references;
      const std::string wanted = value.get<std::string>().substr(1);
      EXPECT_TRUE(nlohmann::json::parse(page.text).contains(nlohmann::json::json_pointer(wanted)))
          << wanted;
    }
    EXPECT_GT(references, 20U);
  }
}

}  // namespace
}  // namespace headrace::pipeline
