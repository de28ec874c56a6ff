#include "pipeline/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "contract/diagnostic_codes.h"
#include "pipeline/expressions/functions.h"

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

// The page of the error names functions that are not here: none of them is.
TEST(Reference, TheErrorOfAFunctionThatIsNotHereNamesNoneThatIs) {
  std::string meaning(contract::RowOf(contract::DiagnosticCode::kFunctionNotHere).says);
  std::ranges::replace_if(meaning, [](char c) { return std::isalnum(c) == 0; }, ' ');
  std::stringstream words(meaning);
  for (std::string word; words >> word;) EXPECT_EQ(FunctionNamed(word), nullptr) << word;
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
