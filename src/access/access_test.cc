#include <gtest/gtest.h>

#include "access/access_list.h"
#include "env/simulated/environment.h"

namespace headrace::access {
namespace {

TEST(Scope, IsReadAndWritten) {
  for (const char* text : {"read", "read:scoring,push:payments", "watch,admin", "read,restricted"})
    EXPECT_EQ(Scope::Parse(text)->ToString(), text);
  EXPECT_EQ(Scope::Parse("push:*")->ToString(), "push");
  for (const char* text : {"", ",", "read,", "write", "READ", "read:", "watch:x", "admin:x",
                           "restricted", "restricted:x", " read", "read:a read:b"}) {
    const auto scope = Scope::Parse(text);
    EXPECT_TRUE(!scope || std::string_view(text) == "read:a read:b") << text;
  }
}

TEST(Scope, AllowsWhatItSaysAndNoMore) {
  const Scope some = *Scope::Parse("read:scoring,push:payments");
  EXPECT_TRUE(some.Allows(Verb::kRead, "scoring"));
  EXPECT_FALSE(some.Allows(Verb::kRead, "payments"));
  EXPECT_FALSE(some.Allows(Verb::kRead, "scoring2"));
  EXPECT_FALSE(some.Allows(Verb::kRead, ""));
  EXPECT_FALSE(some.Allows(Verb::kPush, "scoring"));
  EXPECT_TRUE(some.AllowsSome(Verb::kRead));
  EXPECT_FALSE(some.AllowsAll(Verb::kRead));
  EXPECT_FALSE(some.AllowsSome(Verb::kWatch));
  EXPECT_FALSE(some.restricted());
  const Scope admin = *Scope::Parse("admin");
  for (const Verb verb : {Verb::kRead, Verb::kPush, Verb::kWatch, Verb::kAdmin})
    EXPECT_TRUE(admin.AllowsAll(verb) && admin.Allows(verb, "x"));
  EXPECT_FALSE(admin.restricted());
  EXPECT_FALSE(Scope().AllowsSome(Verb::kRead));
}

class AccessListTest : public testing::Test {
 protected:
  void Write(const std::string& text) {
    const std::string path = "tokens";
    if (*machine_.files().Exists(path)) {
      ASSERT_TRUE(machine_.files().Remove(path).has_value());
    }
    auto file = machine_.files().OpenForWriting(path, env::Files::Open::kCreateNew);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  }
  std::unique_ptr<AccessList> Open() {
    auto list = AccessList::Open(machine_.files(), "tokens");
    EXPECT_TRUE(list.has_value()) << list.error().ToString();
    return list ? std::move(*list) : nullptr;
  }

  env::simulated::SimulatedEnvironment machine_{3};
};

TEST_F(AccessListTest, FindsWhoHasAToken) {
  const std::string one = MakeToken(machine_);
  const std::string two = MakeToken(machine_);
  EXPECT_NE(one, two);
  EXPECT_EQ(one.size(), 67);
  Write("# who\n\n" + AccessLine("one", *Scope::Parse("read"), one) +
        AccessLine("two", *Scope::Parse("push:a"), two));
  const auto list = Open();
  EXPECT_EQ(list->Find(one)->name, "one");
  EXPECT_TRUE(list->Find(two)->scope.Allows(Verb::kPush, "a"));
  for (const std::string& wrong : {std::string(), one + "0", one.substr(1), std::string("one"),
                                   std::string(100'000, 'x'), two.substr(0, 66)})
    EXPECT_EQ(list->Find(wrong), nullptr) << wrong.substr(0, 80);
  std::string file_has_no_token = AccessLine("one", *Scope::Parse("read"), one);
  EXPECT_EQ(file_has_no_token.find(one.substr(3)), std::string::npos);
}

TEST_F(AccessListTest, ALineThatGoesTakesItsTokenAlong) {
  const std::string token = MakeToken(machine_);
  const std::string line = AccessLine("one", *Scope::Parse("read"), token);
  Write(line);
  const auto list = Open();
  ShownToken shown(*list);
  EXPECT_EQ(shown.Who(), nullptr);
  ASSERT_NE(shown.Who(token), nullptr);
  EXPECT_FALSE(*list->Reload());
  EXPECT_NE(shown.Who(), nullptr);
  Write("");
  EXPECT_TRUE(*list->Reload());
  EXPECT_EQ(shown.Who(), nullptr);
  EXPECT_EQ(shown.Who(token), nullptr);
  Write(line);
  EXPECT_TRUE(*list->Reload());
  EXPECT_NE(shown.Who(), nullptr);
  EXPECT_EQ(shown.Who("other"), nullptr);
}

TEST_F(AccessListTest, AFileWithAMistakeChangesNothing) {
  const std::string token = MakeToken(machine_);
  const std::string line = AccessLine("one", *Scope::Parse("read"), token);
  Write(line);
  const auto list = Open();
  for (const std::string& wrong :
       {std::string("one read\n"), std::string("one nothing sha256:00\n"), line + line,
        "two words " + line, line.substr(0, line.size() - 2) + "\n", "a/b" + line.substr(3),
        std::string("one read md5:") + std::string(64, '0')}) {
    Write(wrong);
    EXPECT_FALSE(list->Reload().has_value()) << wrong;
    EXPECT_NE(list->Find(token), nullptr);
  }
  EXPECT_FALSE(AccessList::Open(machine_.files(), "nothing").has_value());
}

}  // namespace
}  // namespace headrace::access
