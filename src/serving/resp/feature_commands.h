#pragma once
// The commands that read features. One for each connection.

#include <optional>
#include <string>
#include <vector>

#include "pipeline/restricted_features.h"
#include "serving/resp/commands.h"
#include "serving/resp/connection_commands.h"
#include "serving/resp/past_commands.h"
#include "serving/resp/push_commands.h"
#include "serving/resp/transactions.h"

namespace headrace::serving {

class FeatureCommands final : public protocols::RespHandler {
 public:
  FeatureCommands(uint64_t connection, const RespVerbs& verbs)
      : verbs_(verbs), connection_(connection, verbs), pushes_(verbs), past_(verbs) {}
  void Run(protocols::RespCall& call) override;
  void Expect(std::span<const std::span<const std::string_view>> commands) override;
  bool MayOverlap(std::span<const std::string_view> arguments) const override {
    return IsPush(arguments[0]);
  }
  bool authenticated() const override {
    return verbs_.access == nullptr || (caller_ != nullptr && caller_ != access::Nobody());
  }

 private:
  // A field of a hash: a feature, or what the answer says of itself.
  struct Field {
    enum class Kind : uint8_t { kFeature, kStatus, kStatusOf, kEpoch, kLag, kAsOf, kEventTime };
    Kind kind = Kind::kFeature;
    size_t output = 0;  // kFeature, kStatusOf
  };
  // The fields of the last HMGET: clients ask for the same ones again and again.
  struct FieldList {
    size_t view = 0;
    std::vector<std::string> names;
    std::vector<Field> fields;
  };

  void Dispatch(const RespCommandRow& command, protocols::RespCall& call);
  // Writes an answer, or an error, from names looked up in one definition: again when another one
  // is visible by then.
  template <typename Read>
  void Answer(protocols::RespCall& call, Read read);
  base::Result<bool> Hmget(protocols::RespCall& call);
  base::Result<bool> Hget(protocols::RespCall& call);
  base::Result<bool> Hgetall(protocols::RespCall& call);
  base::Result<bool> Hexists(protocols::RespCall& call);
  base::Result<bool> Exists(protocols::RespCall& call);
  base::Result<bool> Type(protocols::RespCall& call);
  base::Result<bool> Get(protocols::RespCall& call);
  base::Result<bool> Mget(protocols::RespCall& call);
  base::Result<void> GetService(protocols::RespCall& call);
  void ListServices(protocols::RespCall& call);

  // Into questions_ and answers_; false when another definition is visible.
  base::Result<bool> Ask();
  base::Result<bool> AskKey(std::string_view key);
  base::Result<Field> FieldNamed(size_t number, std::string_view name) const;
  base::Result<const FieldList*> FieldsOf(size_t view, std::span<const std::string_view> names);
  // For as long as an answer of many values is written. Errors: kInvalidInput
  // (AnswerLimits::values_max), kResourceExhausted.
  template <typename ValueOf>
  base::Result<base::MemoryCharge> ChargeAnswer(size_t fields, ValueOf value_of) const;
  void WriteField(const FieldList& list, const Field& field, protocols::RespWriter& out);
  void WriteValue(const pipeline::ViewAnswer& answer, size_t output, protocols::RespWriter& out);
  // A feature that is asked for by name, or among all of its view.
  base::Result<void> MayRead(size_t view, size_t output) const;
  void NoteCaller();
  const pipeline::PipelineDefinition& definition() const { return *definition_; }

  const RespVerbs& verbs_;
  ConnectionCommands connection_;
  Transactions transactions_;
  PushCommands pushes_;
  PastCommands past_;
  access::CallerRef caller_;  // null: access is not controlled, or no command came yet
  pipeline::PipelineRef definition_;
  pipeline::RestrictedFeatures restricted_;  // of definition_, where access is controlled
  FieldList fields_;
  // Of the commands that Run gets next, those that begin with a key, while definition_ stays.
  struct ExpectedKey {
    std::string_view text;  // as it was read: no other key of the commands begins there
    KeyQuestion question;
  };
  std::vector<ExpectedKey> expected_;
  std::vector<KeyQuestion> questions_;
  KeyAnswers answers_;
  std::string text_;                // of the value that was written last
  std::optional<uint64_t> number_;  // the bits of that value, if it is a float
};

}  // namespace headrace::serving
