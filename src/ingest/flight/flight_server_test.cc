#include "ingest/flight/flight_server.h"

#include <arrow/array/array_binary.h>
#include <arrow/buffer.h>
#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "access/token.h"
#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "ingest/flight/batch_metadata.h"
#include "ingest/flight/flight_status.h"
#include "ingest/testing/example_stream.h"
#include "ingest/testing/fake_gate.h"

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using ::testing::HasSubstr;

// `rows` landings from id `first` on; the last one has a delay out of range when asked.
enum class LastRow { kGood, kOutOfRange };
std::shared_ptr<arrow::RecordBatch> Batch(int64_t first, size_t rows,
                                          LastRow last = LastRow::kGood) {
  columns::BatchBuilder builder(testing::Landings().contract->schema());
  for (size_t i = 0; i < rows; ++i) {
    builder.column(0).AppendInt(first + static_cast<int64_t>(i));
    builder.column(1).AppendInt(980'932'500'000'000);
    builder.column(2).AppendText("ORD");
    builder.column(3).AppendInt(last == LastRow::kOutOfRange && i + 1 == rows ? 99'999 : 5);
  }
  return *columns::ToArrow(builder.Finish());
}

// One DoPut from a client's side.
struct Put {
  flight::FlightClient::DoPutResult call;

  Put(flight::FlightClient& client, const std::string& producer,
      const std::string& stream = "landings",
      std::shared_ptr<arrow::Schema> schema = Batch(0, 0)->schema()) {
    schema = schema->WithMetadata(arrow::key_value_metadata({"headrace.producer"}, {producer}));
    auto made = client.DoPut(flight::FlightDescriptor::Path({stream}), schema);
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    call = std::move(*made);
  }
  ~Put() { (void)call.writer->Close(); }
  void Write(const arrow::RecordBatch& batch, uint64_t sequence) {
    EXPECT_TRUE(
        call.writer
            ->WriteWithMetadata(batch, arrow::Buffer::FromString(WriteBatchMetadata(sequence)))
            .ok());
  }
  // The next message's text; empty at the end.
  std::string Read() {
    std::shared_ptr<arrow::Buffer> message;
    if (!call.reader->ReadMetadata(&message).ok() || message == nullptr) return {};
    return message->ToString();
  }
  base::Result<BatchAcknowledgement> ReadAck() { return ReadAcknowledgement(Read()); }
  // How the call ends.
  arrow::Status Finish() {
    (void)call.writer->DoneWriting();
    while (!Read().empty()) {
    }
    return call.writer->Close();
  }
};

class FlightLoopback : public ::testing::Test {
 protected:
  void Start(FlightServerOptions options = {}) {
    options.port = 0;
    std::vector<FlightAction> actions;
    actions.push_back({"echo", "answers its body",
                       [](std::string body) -> base::Result<std::vector<std::string>> {
                         return std::vector<std::string>{std::move(body)};
                       }});
    auto started =
        FlightServer::Start(options, gate_, budget_, *environment_, nullptr, std::move(actions));
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
    server_ = std::move(*started);
    client_ =
        *flight::FlightClient::Connect(*flight::Location::ForGrpcTcp("127.0.0.1", server_->port()));
  }
  std::string Act(const std::string& name, const std::string& body) {
    auto results = client_->DoAction({name, arrow::Buffer::FromString(body)});
    if (!results.ok()) return results.status().message();
    auto result = (*results)->Next();
    if (!result.ok()) return result.status().message();
    return (*result)->body->ToString();
  }

  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  testing::FakeGate gate_{{testing::Landings()}};
  base::MemoryBudget budget_{64 << 20};
  std::unique_ptr<FlightServer> server_;
  std::unique_ptr<flight::FlightClient> client_;
};

TEST_F(FlightLoopback, BatchesAreTakenAndAcknowledgedInOrder) {
  Start();
  Put put(*client_, "file-1");
  const auto greeting = ReadGreeting(put.Read());
  ASSERT_TRUE(greeting.has_value());
  EXPECT_EQ(greeting->last_sequence, 0U);
  EXPECT_EQ(greeting->stream, "landings");
  for (uint64_t i = 1; i <= 20; ++i) put.Write(*Batch(static_cast<int64_t>(i) * 100, 10), i);
  for (uint64_t i = 1; i <= 20; ++i) {
    const auto ack = put.ReadAck();
    ASSERT_TRUE(ack.has_value()) << ack.error().ToString();
    EXPECT_EQ(ack->batch, i);
    EXPECT_EQ(ack->sequence, i);
    EXPECT_EQ(ack->accepted, 10U);
    EXPECT_EQ(ack->repeat, Repeat::kFirst);
  }
  EXPECT_TRUE(put.Finish().ok());
  EXPECT_EQ(gate_.rows(), 200U);
  const auto batches = gate_.batches();
  EXPECT_EQ(batches[19].source.producer, "file-1");
  EXPECT_EQ(batches[19].rows.column(0).At(9).as_int(), 2009);
  EXPECT_EQ(budget_.used_bytes(), 0U);
}

TEST_F(FlightLoopback, ASourcesProducerIsNobodyElses) {
  Start();
  Put put(*client_, "delta/landings/t-1");
  const arrow::Status ended = put.Finish();
  EXPECT_NE(ended.message().find("read as sources"), std::string::npos) << ended.ToString();
  EXPECT_TRUE(gate_.batches().empty());
}

// As of a client that knows the contract of before `delay` was added.
TEST_F(FlightLoopback, AColumnThatMayBeNullMayBeMissing) {
  Start();
  const auto batch = *Batch(0, 4)->RemoveColumn(3);
  Put put(*client_, "p", "landings", batch->schema());
  put.Read();
  put.Write(*batch, 1);
  const auto ack = put.ReadAck();
  ASSERT_TRUE(ack.has_value()) << ack.error().ToString();
  EXPECT_EQ(ack->accepted, 4U);
  EXPECT_TRUE(put.Finish().ok());
  ASSERT_EQ(gate_.batches().size(), 1U);
  EXPECT_TRUE(gate_.batches()[0].rows.column(3).IsNull(3));
}

TEST_F(FlightLoopback, ABatchWithoutRowsIsAHeartbeat) {
  Start();
  Put put(*client_, "file-1");
  put.Read();
  put.Write(*Batch(1, 0), 1);
  const auto ack = put.ReadAck();
  ASSERT_TRUE(ack.has_value()) << ack.error().ToString();
  EXPECT_EQ(ack->sequence, 1U);
  EXPECT_EQ(ack->accepted, 0U);
  EXPECT_TRUE(put.Finish().ok());
  ASSERT_EQ(gate_.batches().size(), 1U);
  EXPECT_EQ(gate_.batches()[0].request_rows(), 0U);
}

TEST_F(FlightLoopback, RefusedRowsAreListedAndKept) {
  Start();
  Put put(*client_, "file-1");
  put.Read();
  put.Write(*Batch(1, 3, LastRow::kOutOfRange), 1);
  const auto ack = put.ReadAck();
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->accepted, 2U);
  EXPECT_EQ(ack->refused_rows, 1U);
  EXPECT_THAT(ack->first_refusal, HasSubstr("row 2, delay"));
  EXPECT_THAT(gate_.batches()[0].rejected[0].payload, HasSubstr("99999"));
}

TEST_F(FlightLoopback, AfterABrokenConnectionTheGreetingSaysWhereToGoOn) {
  Start();
  {
    Put put(*client_, "file-1");
    put.Read();
    put.Write(*Batch(1, 5), 1);
    put.Write(*Batch(6, 5), 2);
    EXPECT_TRUE(put.ReadAck().has_value());
    EXPECT_TRUE(put.ReadAck().has_value());
  }
  client_ =
      *flight::FlightClient::Connect(*flight::Location::ForGrpcTcp("127.0.0.1", server_->port()));
  Put put(*client_, "file-1");
  EXPECT_EQ(ReadGreeting(put.Read())->last_sequence, 2U);
  put.Write(*Batch(6, 5), 2);
  EXPECT_EQ(put.ReadAck()->repeat, Repeat::kRepeated);
  put.Write(*Batch(11, 5), 3);
  EXPECT_EQ(put.ReadAck()->repeat, Repeat::kFirst);
  EXPECT_EQ(gate_.rows(), 15U);
}

TEST_F(FlightLoopback, ASchemaThatDoesNotFitNamesTheColumn) {
  Start();
  const auto schema = Batch(0, 0)->schema();
  Put missing(*client_, "p", "landings", *schema->RemoveField(2));
  const base::Error error = FromFlightStatus(missing.Finish());
  EXPECT_EQ(error.code(), base::ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message(), HasSubstr("column `origin` (string) is missing"));
  EXPECT_THAT(error.message(), HasSubstr("GetFlightInfo"));

  Put extra(*client_, "p", "landings", *schema->AddField(0, arrow::field("gate", arrow::utf8())));
  EXPECT_THAT(FromFlightStatus(extra.Finish()).message(), HasSubstr("`gate`"));

  Put unknown(*client_, "p", "takeoffs");
  EXPECT_EQ(FromFlightStatus(unknown.Finish()).code(), base::ErrorCode::kNotFound);
}

TEST_F(FlightLoopback, ABatchWithoutItsSequenceIsRefused) {
  Start();
  Put put(*client_, "p");
  put.Read();
  EXPECT_TRUE(put.call.writer->WriteRecordBatch(*Batch(1, 1)).ok());
  const base::Error error = FromFlightStatus(put.Finish());
  EXPECT_EQ(error.code(), base::ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message(), HasSubstr("app_metadata"));
}

TEST_F(FlightLoopback, TheGatesErrorReachesAClientThatOnlyWaits) {
  Start();
  Put put(*client_, "p");
  put.Read();
  gate_.FailWith(base::Error(base::ErrorCode::kStorageFull, "the disk is full"));
  put.Write(*Batch(1, 1), 1);
  const auto refused = put.ReadAck();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kStorageFull);
  EXPECT_EQ(FromFlightStatus(put.Finish()).code(), base::ErrorCode::kStorageFull);
}

// Text of `bytes` bytes, compressed, in a batch of one row.
arrow::Status PutCompressed(flight::FlightClient& client, int64_t bytes) {
  flight::FlightCallOptions options;
  ARROW_ASSIGN_OR_RAISE(options.write_options.codec,
                        arrow::util::Codec::Create(arrow::Compression::ZSTD));
  auto batch = Batch(0, 1);
  const std::vector<int32_t> offsets = {0, static_cast<int32_t>(bytes)};
  const auto text = std::make_shared<arrow::StringArray>(
      1, arrow::Buffer::Wrap(offsets),
      arrow::Buffer::FromString(std::string(static_cast<size_t>(bytes), 'x')));
  ARROW_ASSIGN_OR_RAISE(batch, batch->SetColumn(2, batch->schema()->field(2), text));
  ARROW_ASSIGN_OR_RAISE(
      auto call,
      client.DoPut(options, flight::FlightDescriptor::Path({"landings"}), batch->schema()));
  std::shared_ptr<arrow::Buffer> message;
  ARROW_RETURN_NOT_OK(call.reader->ReadMetadata(&message));
  (void)call.writer->WriteRecordBatch(*batch);
  (void)call.writer->DoneWriting();
  while (call.reader->ReadMetadata(&message).ok() && message != nullptr) {
  }
  return call.writer->Close();
}

// Half of the budget's 64 MiB is for what is inside of Flight.
TEST_F(FlightLoopback, WhatIsInflatedIsChargedBeforeItIsMade) {
  Start();
  const arrow::Status fits = PutCompressed(*client_, 1 << 20);
  EXPECT_TRUE(fits.ok()) << fits.ToString();
  EXPECT_EQ(gate_.batches().size(), 1U);
  const arrow::Status refused = PutCompressed(*client_, 80'000'000);
  EXPECT_EQ(FromFlightStatus(refused).code(), base::ErrorCode::kResourceExhausted);
  EXPECT_THAT(refused.message(), HasSubstr("want 80000064 more"));
  EXPECT_EQ(gate_.batches().size(), 1U);
}

TEST_F(FlightLoopback, OneDescriptionTooManyIsRefused) {
  FlightServerOptions options;
  options.calls.others_max = 0;
  Start(options);
  const auto info = client_->GetFlightInfo(flight::FlightDescriptor::Path({"landings"}));
  EXPECT_EQ(FromFlightStatus(info.status()).code(), base::ErrorCode::kResourceExhausted);
  Put put(*client_, "a");
  EXPECT_FALSE(put.Read().empty()) << "other kinds have places of their own";
}

TEST_F(FlightLoopback, ManyStreamsAndTheirLimit) {
  FlightServerOptions options;
  options.calls.puts_max = 2;
  Start(options);
  Put first(*client_, "a");
  Put second(*client_, "b");
  first.Read();
  second.Read();
  // Refused when it begins or when it ends, as the answer is sooner or later than the beginning.
  auto third = client_->DoPut(flight::FlightDescriptor::Path({"landings"}), Batch(0, 0)->schema());
  arrow::Status refused = third.status();
  if (third.ok()) {
    (void)third->writer->DoneWriting();
    refused = third->writer->Close();
  }
  EXPECT_EQ(FromFlightStatus(refused).code(), base::ErrorCode::kResourceExhausted);
}

TEST_F(FlightLoopback, StreamsAndActionsAreListed) {
  Start();
  auto info = client_->GetFlightInfo(flight::FlightDescriptor::Path({"landings"}));
  ASSERT_TRUE(info.ok());
  arrow::ipc::DictionaryMemo memo;
  EXPECT_TRUE((*(*info)->GetSchema(&memo))->Equals(*Batch(0, 0)->schema()));
  auto listing = client_->ListFlights();
  ASSERT_TRUE(listing.ok());
  EXPECT_NE(*(*listing)->Next(), nullptr);
  EXPECT_EQ(client_->ListActions()->size(), 2U);
  EXPECT_THAT(Act("last_sequence", R"({"stream":"landings","producer":"nobody"})"),
              HasSubstr("\"last_sequence\":0"));
  EXPECT_THAT(Act("last_sequence", "nobody"), HasSubstr("is no JSON object"));
  EXPECT_THAT(Act("last_sequence", R"({"producer":"p"})"), HasSubstr("by stream and producer"));
  EXPECT_EQ(Act("echo", "x"), "x");
  EXPECT_THAT(Act("dance", ""), HasSubstr("no action `dance`"));
}

// A gate that answers when told, behind a server with a window of 4.
class FlightWindow : public FlightLoopback {
 protected:
  void StartSlow() {
    FlightServerOptions options{.port = 0, .window_batches = 4};
    auto started = FlightServer::Start(options, slow_, budget_, *environment_, nullptr, {});
    ASSERT_TRUE(started.has_value());
    server_ = std::move(*started);
    client_ =
        *flight::FlightClient::Connect(*flight::Location::ForGrpcTcp("127.0.0.1", server_->port()));
  }
  bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  testing::FakeGate slow_{{testing::Landings()}, testing::FakeGate::Answering::kWhenTold};
};

TEST_F(FlightWindow, InputIsNotReadBeyondTheWindow) {
  StartSlow();
  Put put(*client_, "p");
  put.Read();
  for (uint64_t i = 1; i <= 8; ++i) put.Write(*Batch(static_cast<int64_t>(i), 1), i);
  EXPECT_TRUE(Eventually([&] { return slow_.waiting() == 4; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(slow_.waiting(), 4U);
  EXPECT_GT(budget_.used_bytes(), 0U);
  slow_.AnswerOne();
  EXPECT_EQ(put.ReadAck()->sequence, 1U);
  EXPECT_TRUE(Eventually([&] { return slow_.waiting() == 4; }))
      << "the fifth is read when the first is acknowledged";
  for (uint64_t i = 2; i <= 8; ++i) {
    EXPECT_TRUE(Eventually([&] { return slow_.AnswerOne(); }));
    EXPECT_EQ(put.ReadAck()->sequence, i);
  }
  EXPECT_TRUE(put.Finish().ok());
  EXPECT_EQ(budget_.used_bytes(), 0U);
}

TEST_F(FlightWindow, StopEndsCallsWithinItsDeadline) {
  StartSlow();
  Put waiting(*client_, "a");
  waiting.Read();
  waiting.Write(*Batch(1, 1), 1);
  EXPECT_TRUE(Eventually([&] { return slow_.waiting() == 1; }));
  const auto before = std::chrono::steady_clock::now();
  server_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
  EXPECT_EQ(FromFlightStatus(waiting.Finish()).code(), base::ErrorCode::kUnavailable);
  EXPECT_TRUE(slow_.AnswerOne()) << "an outcome after the call has gone is dropped";
  server_.reset();
}

TEST(FlightStatus, KeepsTheCode) {
  for (const base::ErrorCodeRow& row : base::ErrorCodes()) {
    const base::Error back =
        FromFlightStatus(ToFlightStatus(base::Error(row.code, "text").With("a", "b")));
    EXPECT_EQ(back.code(), row.code);
    EXPECT_EQ(back.message(), "text (a=b)");
  }
  EXPECT_EQ(FromFlightStatus(arrow::Status::IOError("connection reset")).code(),
            base::ErrorCode::kUnavailable);
}

// Hands out `left` batches of one row, then its end or an error.
class CountedDown final : public FlightRows {
 public:
  CountedDown(int left, std::optional<base::Error> error) : left_(left), error_(std::move(error)) {}
  std::shared_ptr<arrow::Schema> schema() const override {
    return Batch(0, 0)->schema()->WithMetadata(
        arrow::key_value_metadata({"headrace.epoch"}, {"7"}));
  }
  base::Result<std::optional<FlightBatch>> Next() override {
    if (left_-- > 0) return FlightBatch{Batch(left_, 1), {}, {}};
    if (error_) return base::Fail(*error_);
    return std::nullopt;
  }
  std::string Summary() const override { return "all"; }

 private:
  int left_;
  std::optional<base::Error> error_;
};

// A batch, and then it waits as long as its client does.
class NeverThere final : public FlightRows {
 public:
  explicit NeverThere(FlightCaller caller) : caller_(std::move(caller)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return Batch(0, 0)->schema(); }
  base::Result<std::optional<FlightBatch>> Next() override {
    if (!std::exchange(begun_, true)) return FlightBatch{Batch(0, 1), {}, {}};
    while (!caller_.IsGone()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return base::Fail(base::ErrorCode::kUnavailable, "nobody waits any more");
  }
  std::string Summary() const override { return {}; }

 private:
  const FlightCaller caller_;
  bool begun_ = false;
};

class CountingReads final : public FlightReads {
 public:
  base::Result<Offer> MakeOffer(const std::string& command,
                                const access::CallerRef& /*caller*/) override {
    return Offer{"ticket of " + command, Batch(0, 0)->schema()};
  }
  base::Result<std::unique_ptr<FlightRows>> Open(const std::string& ticket,
                                                 FlightCaller caller) override {
    EXPECT_FALSE(caller.IsGone());
    if (ticket == "no") return base::Fail(base::ErrorCode::kNotFound, "no such rows");
    if (ticket == "waits") return std::make_unique<NeverThere>(std::move(caller));
    std::optional<base::Error> error;
    if (ticket == "broken") error = base::Error(base::ErrorCode::kUnavailable, "it went away");
    return std::make_unique<CountedDown>(ticket == "endless" ? 1 << 30 : 3, std::move(error));
  }
};

TEST_F(FlightLoopback, RowsGoOutWithASummaryAtTheEnd) {
  Start();
  CountingReads reads;
  server_->UseReads(reads);
  auto reader = *client_->DoGet(flight::Ticket{"rows"});
  EXPECT_EQ((*reader->GetSchema())->metadata()->Get("headrace.epoch").ValueOr(""), "7");
  int64_t rows = 0;
  std::string summary;
  while (true) {
    const auto chunk = reader->Next();
    ASSERT_TRUE(chunk.ok()) << chunk.status().ToString();
    if (chunk->data == nullptr) break;
    EXPECT_TRUE(summary.empty()) << "rows after the end";
    rows += chunk->data->num_rows();
    if (chunk->app_metadata != nullptr) summary = chunk->app_metadata->ToString();
  }
  EXPECT_EQ(rows, 3);
  EXPECT_EQ(summary, "all");
}

TEST_F(FlightLoopback, AReadThatBreaksOffEndsWithItsError) {
  Start();
  CountingReads reads;
  server_->UseReads(reads);
  const auto table = (*client_->DoGet(flight::Ticket{"broken"}))->ToTable();
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(FromFlightStatus(table.status()).code(), base::ErrorCode::kUnavailable);
  EXPECT_THAT(table.status().message(), HasSubstr("it went away"));
  const auto none = client_->DoGet(flight::Ticket{"no"});
  const arrow::Status status = none.ok() ? (*none)->ToTable().status() : none.status();
  EXPECT_EQ(FromFlightStatus(status).code(), base::ErrorCode::kNotFound);
}

TEST_F(FlightLoopback, ReadsAreRetryableUntilThereIsSomethingToRead) {
  Start();
  const auto early = client_->DoGet(flight::Ticket{"rows"});
  const arrow::Status status = early.ok() ? (*early)->ToTable().status() : early.status();
  EXPECT_EQ(FromFlightStatus(status).code(), base::ErrorCode::kUnavailable);
  CountingReads reads;
  server_->UseReads(reads);
  const auto info = client_->GetFlightInfo(flight::FlightDescriptor::Command("x"));
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  EXPECT_EQ((*info)->endpoints().at(0).ticket.ticket, "ticket of x");
}

TEST_F(FlightLoopback, OneReadTooManyIsRefusedUntilAClientLeaves) {
  FlightServerOptions options;
  options.calls.gets_max = 2;
  Start(options);
  CountingReads reads;
  server_->UseReads(reads);
  auto one = *client_->DoGet(flight::Ticket{"endless"});
  auto other = *client_->DoGet(flight::Ticket{"endless"});
  ASSERT_TRUE(one->Next().ok() && other->Next().ok());
  const auto read = [&] {
    const auto third = client_->DoGet(flight::Ticket{"rows"});
    return third.ok() ? (*third)->ToTable().status() : third.status();
  };
  const arrow::Status refused = read();
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.message(), HasSubstr("2 DoGet calls are open"));
  one->Cancel();
  one.reset();
  arrow::Status status = refused;
  for (int i = 0; i < 1000 && !status.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    status = read();
  }
  EXPECT_TRUE(status.ok()) << status.ToString();
  other->Cancel();
}

// Answers a batch with itself and its number.
class Echo final : public FlightExchange {
 public:
  std::shared_ptr<arrow::Schema> schema() const override { return Batch(0, 0)->schema(); }
  size_t rows_max() const override { return 10; }
  base::Result<FlightBatch> Answer(const arrow::RecordBatch& rows,
                                   std::string_view metadata) override {
    if (metadata == "no") return base::Fail(base::ErrorCode::kUnauthorized, "not this one");
    return FlightBatch{rows.Slice(0), std::to_string(++batches_), {}};
  }

 private:
  int batches_ = 0;
};

class Echoes final : public FlightExchanges {
 public:
  base::Result<std::unique_ptr<FlightExchange>> Open(const std::string& command,
                                                     const arrow::Schema& schema,
                                                     FlightCaller caller) override {
    EXPECT_FALSE(caller.IsGone());
    if (command != "echo") return base::Fail(base::ErrorCode::kNotFound, "no such exchange");
    if (schema.num_fields() != 4) return base::Fail(base::ErrorCode::kInvalidInput, "four columns");
    return std::make_unique<Echo>();
  }
};

// One DoExchange from a client's side.
struct Exchange {
  flight::FlightClient::DoExchangeResult call;
  arrow::Status begun;

  // Refused when it begins or at its first answer, as the refusal is sooner or later.
  Exchange(flight::FlightClient& client, const flight::FlightDescriptor& descriptor,
           const flight::FlightCallOptions& options = {}) {
    auto made = client.DoExchange(options, descriptor);
    begun = made.status();
    if (!made.ok()) return;
    call = std::move(*made);
    (void)call.writer->Begin(Batch(0, 0)->schema());
  }
  // What came back with a batch; the error where there is one.
  std::string Ask(const arrow::RecordBatch& rows, const std::string& metadata) {
    if (!begun.ok()) return begun.ToString();
    (void)call.writer->WriteWithMetadata(rows, arrow::Buffer::FromString(metadata));
    const auto chunk = call.reader->Next();
    if (!chunk.ok()) return chunk.status().ToString();
    if (chunk->data == nullptr) return call.writer->Close().ToString();
    return std::to_string(chunk->data->num_rows()) + " rows, " + chunk->app_metadata->ToString();
  }
  ~Exchange() {
    if (begun.ok()) (void)call.writer->Close();
  }
};

TEST_F(FlightLoopback, BatchesAreAnsweredOneByOne) {
  Start();
  Echoes echoes;
  server_->UseExchanges(echoes);
  Exchange exchange(*client_, flight::FlightDescriptor::Command("echo"));
  EXPECT_EQ(exchange.Ask(*Batch(0, 3), "a"), "3 rows, 1");
  EXPECT_EQ(exchange.Ask(*Batch(0, 0), ""), "0 rows, 2");
  EXPECT_EQ(exchange.Ask(*Batch(0, 10), "a"), "10 rows, 3");
  EXPECT_THAT(exchange.Ask(*Batch(0, 11), "a"), HasSubstr("over 10: send smaller batches"));
  EXPECT_EQ(budget_.used_bytes(), 0U);
}

TEST_F(FlightLoopback, AnExchangeEndsWithItsError) {
  Start();
  const auto command = [](const char* text) { return flight::FlightDescriptor::Command(text); };
  EXPECT_THAT(Exchange(*client_, command("echo")).Ask(*Batch(0, 1), "a"), HasSubstr("repeat"));
  Echoes echoes;
  server_->UseExchanges(echoes);
  EXPECT_THAT(Exchange(*client_, command("x")).Ask(*Batch(0, 1), "a"), HasSubstr("no such"));
  EXPECT_THAT(Exchange(*client_, command("echo")).Ask(*Batch(0, 1), "no"),
              HasSubstr("[Unauthorized] not this one"));
  EXPECT_THAT(Exchange(*client_, flight::FlightDescriptor::Path({"echo"})).Ask(*Batch(0, 1), ""),
              HasSubstr("must be a command"));
}

TEST_F(FlightLoopback, OneExchangeTooManyIsRefusedUntilAnotherEnds) {
  FlightServerOptions options;
  options.calls.exchanges_max = 1;
  Start(options);
  Echoes echoes;
  server_->UseExchanges(echoes);
  const auto command = flight::FlightDescriptor::Command("echo");
  {
    Exchange one(*client_, command);
    EXPECT_EQ(one.Ask(*Batch(0, 1), ""), "1 rows, 1");
    EXPECT_THAT(Exchange(*client_, command).Ask(*Batch(0, 1), ""),
                HasSubstr("1 DoExchange calls are open"));
  }
  // The server learns a moment later that it ended.
  std::string answer;
  for (int i = 0; i < 1000 && answer != "1 rows, 1"; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    answer = Exchange(*client_, command).Ask(*Batch(0, 1), "");
  }
  EXPECT_EQ(answer, "1 rows, 1");
}

class FlightTokens : public FlightLoopback {
 protected:
  FlightTokens() {
    Write({Line("reader", "read", token_), Line("other", "read", other_)});
    list_ = std::move(*access::AccessList::Open(machine_.files(), "tokens"));
    FlightServerOptions options;
    options.access = list_.get();
    Start(options);
    server_->UseReads(reads_);
    server_->UseExchanges(echoes_);
    shown_.timeout = flight::TimeoutDuration(10);
    shown_.headers.emplace_back("authorization", "Bearer " + token_);
  }
  ~FlightTokens() override { server_.reset(); }
  static std::string Line(const char* name, const char* scopes, const std::string& token) {
    return access::AccessLine(name, *access::Scope::Parse(scopes), token);
  }
  void Write(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line;
    (void)machine_.files().Remove("tokens");
    const auto file = machine_.files().OpenForWriting("tokens", env::Files::Open::kCreateNew);
    ASSERT_TRUE(file.has_value()) << file.error().ToString();
    ASSERT_TRUE((*file)->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    if (list_ != nullptr) ASSERT_TRUE(list_->Reload());
  }
  // How a read ends, whatever batches were on their way.
  static arrow::Status EndOf(flight::FlightStreamReader& reader) {
    while (true) {
      const auto chunk = reader.Next();
      if (!chunk.ok() || chunk->data == nullptr) return chunk.status();
    }
  }

  env::simulated::SimulatedEnvironment machine_{1};
  const std::string token_ = access::MakeToken(machine_);
  const std::string other_ = access::MakeToken(machine_);
  std::unique_ptr<access::AccessList> list_;
  CountingReads reads_;
  Echoes echoes_;
  flight::FlightCallOptions shown_;
};

TEST_F(FlightTokens, ARevokedOneEndsTheReadsThatItOpened) {
  for (const char* ticket : {"endless", "waits"}) {
    SCOPED_TRACE(ticket);
    Write({Line("reader", "read", token_), Line("other", "read", other_)});
    auto reader = *client_->DoGet(shown_, flight::Ticket{ticket});
    ASSERT_TRUE(reader->Next().ok());
    Write({Line("other", "read", other_)});
    EXPECT_THAT(EndOf(*reader).ToString(), HasSubstr("a token that nobody has any more"));
  }
}

TEST_F(FlightTokens, ARevokedOneEndsTheExchangesThatItOpened) {
  Exchange exchange(*client_, flight::FlightDescriptor::Command("echo"), shown_);
  EXPECT_EQ(exchange.Ask(*Batch(0, 1), ""), "1 rows, 1");
  Write({Line("reader", "read", token_)});
  EXPECT_EQ(exchange.Ask(*Batch(0, 1), ""), "1 rows, 2") << "another one was";
  Write({Line("reader", "read:scoring", token_)});
  EXPECT_THAT(exchange.Ask(*Batch(0, 1), ""), HasSubstr("may do other things by now"));
}

TEST_F(FlightLoopback, AStopEndsAnExchangeThatWaits) {
  Start();
  Echoes echoes;
  server_->UseExchanges(echoes);
  Exchange exchange(*client_, flight::FlightDescriptor::Command("echo"));
  EXPECT_EQ(exchange.Ask(*Batch(0, 1), ""), "1 rows, 1");
  server_->Stop();
}

}  // namespace
}  // namespace headrace::ingest
