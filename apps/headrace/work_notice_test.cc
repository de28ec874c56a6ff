#include "work_notice.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace headrace::app {
namespace {

using ::testing::HasSubstr;

// A terminal, and what was printed on it.
class Terminal {
 public:
  Terminal() : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    EXPECT_EQ(grantpt(master_), 0);
    EXPECT_EQ(unlockpt(master_), 0);
    file_ = fdopen(open(ptsname(master_), O_RDWR | O_NOCTTY), "w");
    fcntl(master_, F_SETFL, O_NONBLOCK);
  }
  ~Terminal() {
    std::fclose(file_);
    close(master_);
  }
  std::FILE* file() { return file_; }
  // Reads until `text` came, or for 10 s.
  std::string Until(const std::string& text) {
    for (int i = 0; i < 1'000 && seen_.find(text) == std::string::npos; ++i) {
      char bytes[4096];
      const ssize_t got = read(master_, bytes, sizeof(bytes));
      if (got > 0) {
        seen_.append(bytes, static_cast<size_t>(got));
      } else {
        usleep(10'000);
      }
    }
    return seen_;
  }

 private:
  int master_;
  std::FILE* file_;
  std::string seen_;
};

TEST(WorkNotice, ShowsEachStepOnATerminal) {
  Terminal terminal;
  training::WorkProgress work;
  WorkNotice notice(terminal.file(), work);
  work.Begin("reading payments", "row", std::nullopt);
  work.Note(5'000);
  EXPECT_THAT(terminal.Until("reading payments: 5,000 rows, "),
              HasSubstr("reading payments: 5,000 rows, "));
  notice.Say("waiting for the engine");
  EXPECT_THAT(terminal.Until("waiting"), HasSubstr("reading payments: waiting for the engine"));
  work.Begin("answering", "label", 200);
  work.Note(50);
  EXPECT_THAT(terminal.Until(" 25 %"), HasSubstr("answering: 50 labels, "));
}

TEST(WorkNotice, IsSilentWhereWorkIsShort) {
  std::FILE* const out = std::tmpfile();
  training::WorkProgress work;
  {
    const WorkNotice notice(out, work);
    work.Begin("reading payments", "row", std::nullopt);
    work.Note(5'000);
  }
  EXPECT_EQ(std::ftell(out), 0);
  std::fclose(out);
}

}  // namespace
}  // namespace headrace::app
