#include "protocols/resp_parser.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace headrace::protocols {
namespace {

struct Case {
  std::string_view bytes;
  std::string_view commands;  // "[a|b]" each; "!why" when it fails; what is left over is not told
};

constexpr auto kCases = std::to_array<Case>({
    // Arrays.
    {"*1\r\n$4\r\nPING\r\n", "[PING]"},
    {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "[GET|]"},
    {"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n$1\r\nx\r\n", "[GET|a\r\nb][x]"},
    {"*0\r\n*1\r\n$1\r\nx\r\n", "[][x]"},
    {"*-1\r\n*1\r\n$1\r\nx\r\n", "[][x]"},
    {"*1\n$4\nPING\r\n", "[PING]"},
    {"*01\r\n$04\r\nPING\r\n", "[PING]"},
    {"*1\r\n$12\r\nhello, world\r\n", "[hello, world]"},
    // Arrays that are none.
    {"*x\r\n", "!Protocol error: invalid multibulk length"},
    {"*\r\n", "!Protocol error: invalid multibulk length"},
    {"*1 \r\n", "!Protocol error: invalid multibulk length"},
    {"*+1\r\n", "!Protocol error: invalid multibulk length"},
    {"*1.0\r\n", "!Protocol error: invalid multibulk length"},
    {"*17\r\n", "!Protocol error: invalid multibulk length"},
    {"*99999999999999999999\r\n", "!Protocol error: invalid multibulk length"},
    {"*1111111111111111111111111111111111111111111", "!Protocol error: too big mbulk count string"},
    {"*1\r\nPING\r\n", "!Protocol error: expected '$', got 'P'"},
    {"*1\r\n\x01", "!Protocol error: expected '$', got '?'"},
    {"*1\r\n:1\r\n", "!Protocol error: expected '$', got ':'"},
    {"*1\r\n$-1\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$x\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$4x\r\nPING\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$101\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$9999999999\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$1111111111111111111111111111111111111", "!Protocol error: too big bulk count string"},
    {"*1\r\n$4\r\nPINGS\r\n", "!Protocol error: a bulk string is longer than it says"},
    {"*1\r\n$4\r\nPING\n\n", "!Protocol error: a bulk string is longer than it says"},
    {"*3\r\n$99\r\n"
     "0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456789012345678\r\n$99\r\n"
     "0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456789012345678\r\n$60\r\n",
     "!Protocol error: the command is too long"},
    // Lines.
    {"PING\r\n", "[PING]"},
    {"PING\n", "[PING]"},
    {"\r\n\r\nPING\r\n", "[][][PING]"},
    {"  hmget  card:c1\ta \r\n", "[hmget|card:c1|a]"},
    {"echo \"a b\" 'c d'\r\n", "[echo|a b|c d]"},
    {"echo \"\\x41\\n\\\"\\q\" 'it\\'s \\n'\r\n", "[echo|A\n\"q|it's \\n]"},
    {"echo \"\\xzz\"\r\n", "[echo|xzz]"},
    {"echo \"\"\r\n", "[echo|]"},
    {"echo \"a\r\n", "!Protocol error: unbalanced quotes in request"},
    {"echo 'a\r\n", "!Protocol error: unbalanced quotes in request"},
    {"echo \"a\"b\r\n", "!Protocol error: unbalanced quotes in request"},
    {"echo 'a'b\r\n", "!Protocol error: unbalanced quotes in request"},
    {"0123456789012345678901234567890123456789", "!Protocol error: too big inline request"},
    {"0123456789012345678901234567890123456789\r\n", "!Protocol error: too big inline request"},
    {"a b c d e f g h i j k l m n o p q\r\n", "!Protocol error: too many words in a line"},
    // Not whole.
    {"", ""},
    {"*", ""},
    {"*1\r\n", ""},
    {"*1\r\n$4\r\nPIN", ""},
    {"*1\r\n$4\r\nPING\r", ""},
    {"PIN", ""},
});

constexpr RespLimits kLimits{
    .arguments_max = 16, .argument_bytes_max = 100, .command_bytes_max = 256, .line_bytes_max = 36};

// Feeds the bytes as a session does, `step` more at a time.
std::string Commands(std::string_view bytes, size_t step) {
  RespParser parser(kLimits);
  std::string told;
  std::string unread;
  for (size_t given = 0; given < bytes.size();) {
    const size_t count = std::min(step, bytes.size() - given);
    unread += bytes.substr(given, count);
    given += count;
    while (!unread.empty()) {
      const RespParser::Outcome outcome = parser.Parse(unread);
      if (outcome == RespParser::Outcome::kFailed) return told + "!" + parser.failure();
      if (outcome == RespParser::Outcome::kIncomplete) break;
      std::string command;
      for (const std::string_view argument : parser.arguments())
        command.append(command.empty() ? "" : "|").append(argument);
      told += "[" + command + "]";
      unread.erase(0, parser.size());
      parser.Next();
    }
  }
  return told;
}

TEST(RespParser, CommandsWholeAndAByteAtATime) {
  for (const Case& c : kCases) {
    EXPECT_EQ(Commands(c.bytes, 4096), c.commands) << c.bytes;
    EXPECT_EQ(Commands(c.bytes, 1), c.commands) << c.bytes;
    EXPECT_EQ(Commands(c.bytes, 3), c.commands) << c.bytes;
  }
}

TEST(RespParser, ManyCommandsInAnyPieces) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    std::string commands;
    for (int i = 0; i < 20; ++i) {
      const size_t count = 1 + random() % 5;
      bytes += "*" + std::to_string(count) + "\r\n";
      std::string command;
      for (size_t a = 0; a < count; ++a) {
        const std::string argument(a == 0 ? 1 + random() % 40 : random() % 40,
                                   static_cast<char>('a' + random() % 26));
        bytes += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
        command += (a == 0 ? "" : "|") + argument;
      }
      commands += "[" + command + "]";
    }
    ASSERT_EQ(Commands(bytes, 1 + random() % 64), commands) << "round " << round;
  }
}

TEST(RespParser, SaysWhetherACommandHasBegun) {
  RespParser parser(kLimits);
  EXPECT_FALSE(parser.begun());
  EXPECT_EQ(parser.Parse("*1\r\n"), RespParser::Outcome::kIncomplete);
  EXPECT_TRUE(parser.begun());
  EXPECT_EQ(parser.Parse("*1\r\n$1\r\na\r\n"), RespParser::Outcome::kCommand);
  parser.Next();
  EXPECT_FALSE(parser.begun());
}

}  // namespace
}  // namespace headrace::protocols
