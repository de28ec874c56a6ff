#include "arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace headrace::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Said {
  int exit_code = 0;
  std::string out;
  std::string err;
};

std::string TextIn(std::FILE* file) {
  EXPECT_EQ(std::fseek(file, 0, SEEK_SET), 0);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

Said Asked(std::vector<const char*> words) {
  words.insert(words.begin(), "headrace");
  CommandContext context{.out = std::tmpfile(), .err = std::tmpfile()};
  Arguments arguments;
  Said said;
  said.exit_code = arguments.Run(static_cast<int>(words.size()), words.data(), context);
  said.out = TextIn(context.out);
  said.err = TextIn(context.err);
  return said;
}

TEST(Arguments, HelpOfACommandByName) {
  const Said all = Asked({"help"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_THAT(all.out, HasSubstr("ingest"));
  const Said one = Asked({"help", "log", "inspect"});
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_THAT(one.out, HasSubstr("headrace log inspect"));
  EXPECT_THAT(one.out, HasSubstr("--epoch"));
  EXPECT_EQ(one.err, "");
}

TEST(Arguments, ACommandThatIsNotThere) {
  for (const std::vector<const char*>& words :
       {std::vector{"ingset", "flights"}, {"help", "ingset"}, {"ingset", "--help"}}) {
    const Said said = Asked(words);
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.err, StartsWith("error[HR0900]: no command `ingset`\n"));
    EXPECT_THAT(said.err, HasSubstr("check, serve, ingest"));
    EXPECT_THAT(said.err, HasSubstr("did you mean: ingest?"));
    EXPECT_EQ(said.out, "");
  }
  EXPECT_THAT(Asked({"log", "inspcet", "d"}).err,
              StartsWith("error[HR0900]: no command `log inspcet`\n"));
}

TEST(Arguments, AnUnknownOptionNamesItselfBeforeWhatIsMissing) {
  const Said said = Asked({"serve", "--dta", "d"});
  EXPECT_EQ(said.exit_code, 2);
  EXPECT_THAT(said.err, StartsWith("error[HR0900]: headrace serve has no option `--dta`\n"));
  EXPECT_THAT(said.err, HasSubstr("did you mean: --data?"));
}

TEST(Arguments, WhatIsMissingAndWhatIsTooMuch) {
  const Said missing = Asked({"serve"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("PIPELINE is required"));
  EXPECT_THAT(missing.err, HasSubstr("usage: headrace serve PIPELINE --data DIR\n"));
  EXPECT_THAT(missing.err, HasSubstr("next: headrace help serve "));
  EXPECT_THAT(Asked({"serve", "p.yaml", "--data"}).err,
              StartsWith("error[HR0900]: --data wants a value behind it\n"));
  EXPECT_THAT(Asked({"get", "card", "--epoch", "x"}).err,
              StartsWith("error[HR0900]: can't be read: --epoch = x\n"));
  const Said more = Asked({"check", "a.yaml", "b.yaml", "c.yaml"});
  EXPECT_EQ(more.exit_code, 2);
  EXPECT_THAT(more.err, StartsWith("error[HR0900]: `b.yaml` is more than headrace check takes\n"));
}

TEST(Arguments, ACommandOfPartsNamesThem) {
  const Said said = Asked({"log"});
  EXPECT_EQ(said.exit_code, 2);
  EXPECT_THAT(said.err, HasSubstr("usage: headrace log inspect | check | fork\n"));
}

TEST(Arguments, AnAddressToListenAtIsNoWord) {
  const Said said = Asked({"serve", "p.yaml", "--data", "d", "--http", "nonsense"});
  EXPECT_EQ(said.exit_code, 2);
  EXPECT_THAT(said.err, HasSubstr("`nonsense` is no HOST:PORT"));
  for (const char* address : {"localhost", "7000", ":7000", "127.0.0.1", "engine:7000"})
    EXPECT_THAT(Asked({"serve", "nowhere.yaml", "--data", "d", "--http", address}).err,
                Not(HasSubstr("HOST:PORT")))
        << address;
}

TEST(Arguments, GetAndTablesOfNothingSayHowToAsk) {
  EXPECT_THAT(Asked({"get"}).err, HasSubstr("usage: headrace get VIEW KEY=VALUE"));
  EXPECT_THAT(Asked({"get"}).err, Not(HasSubstr("next: mend the input")));
  EXPECT_THAT(Asked({"tables"}).err, HasSubstr("next: headrace help tables"));
}

TEST(Arguments, HelpOfOneCommandNamesTheTokenAndNoCommandsBelowIt) {
  const Said status = Asked({"help", "status"});
  EXPECT_THAT(status.out, HasSubstr("HEADRACE_TOKEN"));
  EXPECT_THAT(status.out, Not(HasSubstr("More of one")));
  EXPECT_THAT(Asked({"help"}).out, HasSubstr("More of one: headrace help COMMAND"));
  EXPECT_THAT(Asked({"help", "log"}).out, HasSubstr("More of one: headrace help log COMMAND"));
}

TEST(Arguments, AFolderWithoutALogOrATableIsSaidSo) {
  const std::string empty = ::testing::TempDir() + "headrace_no_log";
  std::filesystem::create_directories(empty);
  for (const char* part : {"inspect", "check"})
    for (const std::string& folder : {empty, empty + "/nowhere"}) {
      const Said said = Asked({"log", part, folder.c_str()});
      EXPECT_THAT(said.err, HasSubstr("there is no log in this data folder\n"));
      EXPECT_THAT(said.err, Not(HasSubstr("errno")));
    }
  const Said doctor = Asked({"doctor", empty.c_str()});
  EXPECT_THAT(doctor.err, HasSubstr("there is no Delta table in this folder\n"));
  EXPECT_THAT(doctor.err, HasSubstr("`headrace tables " + empty + "` lists"));
  EXPECT_THAT(Asked({"doctor", (empty + "/nowhere").c_str()}).err,
              HasSubstr("there is no such folder\n"));
}

TEST(Arguments, AComplaintIsOneJsonDocumentWhenAskedFor) {
  for (const std::vector<const char*>& words :
       {std::vector{"bogus", "--json"}, {"serve", "--json"}, {"log", "--json"}}) {
    const Said said = Asked(words);
    EXPECT_EQ(said.exit_code, 2);
    const auto document = nlohmann::json::parse(said.out, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(document.is_object()) << said.out;
    EXPECT_EQ(document["error"]["code"], "HR0900");
    EXPECT_EQ(document["error"]["name"], "InvalidInput");
    EXPECT_FALSE(document["error"]["context"].contains("next"));
    EXPECT_THAT(document["error"]["caller_should"], Not("mend the input"));
  }
}

}  // namespace
}  // namespace headrace::app
