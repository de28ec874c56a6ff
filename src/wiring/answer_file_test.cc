#include "wiring/answer_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "env/simulated/environment.h"
#include "serving/answer_log.h"

namespace headrace::wiring {
namespace {

using env::simulated::SimulatedEnvironment;

constexpr const char* kFile = "answers.ndjson";

serving::FeatureAnswer Answer(uint64_t epoch) {
  serving::FeatureAnswer answer;
  answer.epoch = {epoch};
  answer.rows = 1;
  answer.columns = std::make_shared<const std::vector<serving::AnswerColumn>>();
  return answer;
}

std::string Line(uint64_t epoch) {
  std::string line;
  serving::AppendAnswerLines(Answer(epoch), line);
  return line;
}

std::string Content(SimulatedEnvironment& machine) {
  const auto file = *machine.files().OpenForReading(kFile);
  std::vector<uint8_t> bytes(file->size());
  EXPECT_TRUE(file->ReadAt(0, bytes));
  return {bytes.begin(), bytes.end()};
}

TEST(AnswerFile, GoesOnWhenTheDiskHasRoomAgain) {
  SimulatedEnvironment machine(1);
  std::unique_ptr<AnswerFile> file;
  machine.Run([&] { file = *AnswerFile::Open(machine, kFile); });
  machine.Run([&] { file->Write(Answer(1)); });
  machine.RunFor(std::chrono::seconds(1));
  machine.faults().capacity_bytes = 1;
  machine.Run([&] { file->Write(Answer(2)); });
  machine.RunFor(std::chrono::seconds(3));
  machine.Run([&] { file->Write(Answer(3)); });
  EXPECT_EQ(Content(machine), Line(1));
  machine.faults().capacity_bytes = 1 << 20;
  machine.RunFor(std::chrono::seconds(3));
  EXPECT_EQ(Content(machine), Line(1) + Line(2) + Line(3));
  EXPECT_EQ(file->dropped(), 0U);
  machine.Run([&] { file.reset(); });
}

TEST(AnswerFile, BeginsALineOfItsOwnBehindATornOne) {
  SimulatedEnvironment machine(1);
  std::unique_ptr<AnswerFile> file;
  machine.Run([&] {
    const std::string torn = R"({"log":"49b4)";
    auto before = *env::OpenOrCreate(machine.files(), kFile);
    ASSERT_TRUE(before->WriteAt(0, std::vector<uint8_t>(torn.begin(), torn.end())));
  });
  machine.Run([&] { file = *AnswerFile::Open(machine, kFile); });
  machine.Run([&] { file->Write(Answer(2)); });
  machine.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(Content(machine), "{\"log\":\"49b4\n" + Line(2));
  machine.Run([&] { file.reset(); });
}

}  // namespace
}  // namespace headrace::wiring
