#include "simulation/record.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <fmt/format.h>

namespace headrace::simulation {
namespace {

constexpr int64_t kWindowsUs[] = {kHourUs, 6 * kHourUs};

}  // namespace

void Record::NoteSent(const Batch& batch) {
  for (const Row& row : batch.rows)
    if (!row.broken) sent_[row.id] = row;
}

Record::Finding Record::NoteAnswer(Batch& batch, const log::Acknowledgement& ack) {
  Batch::Answer answer{ack.epoch, ack.accepted, {}};
  for (const columns::RejectedRow& row : ack.refused) answer.refused.insert(row.row);
  if (answer.accepted + answer.refused.size() != batch.rows.size())
    return fmt::format("of {} rows {} are accepted and {} refused", batch.rows.size(),
                       answer.accepted, answer.refused.size());
  if (batch.answer) {
    if (ack.repeat != log::Acknowledgement::Repeat::kRepeated)
      return fmt::format("batch {}{} is taken in a second time", batch.sequence, batch.key);
    if (*batch.answer != answer)
      return fmt::format("the repeat of batch {}{} has another answer than the first",
                         batch.sequence, batch.key);
    return std::nullopt;
  }
  for (uint32_t i = 0; i < batch.rows.size(); ++i) {
    const bool refused = answer.refused.contains(i);
    if (batch.rows[i].broken && !refused) return "a broken row was accepted";
    if (refused) {
      refused_[batch.rows[i].id] = batch.rows[i];
    } else {
      acknowledged_.insert(batch.rows[i].id);
    }
  }
  for (const columns::RejectedRow& row : ack.refused)
    if (row.rule == "late") late_.insert(batch.rows[row.row].id);
  batch.answer = std::move(answer);
  return std::nullopt;
}

Record::Finding Record::CheckRows(const char* where, const std::vector<LoggedRow>& rows,
                                  Whole whole) const {
  std::unordered_set<int64_t> present;
  present.reserve(rows.size());
  for (const LoggedRow& logged : rows) {
    const Row& row = logged.row;
    if (!present.insert(row.id).second)
      return fmt::format("row {} is in the {} more than once", row.id, where);
    if (!replays_ && refused_.contains(row.id))
      return fmt::format("row {} (paid {}, epoch {}) was refused and is in the {}", row.id,
                         row.paid_at_us, logged.epoch.value, where);
    const auto sent = sent_.find(row.id);
    if (sent == sent_.end()) return fmt::format("row {} in the {} was never sent", row.id, where);
    if (sent->second != row)
      return fmt::format("row {} is not in the {} as it was sent", row.id, where);
  }
  if (whole == Whole::kPart) return std::nullopt;
  for (const int64_t id : acknowledged_)
    if (!present.contains(id))
      return fmt::format("row {} was acknowledged and is not in the {}", id, where);
  for (const int64_t id : replayed_)
    if (!present.contains(id))
      return fmt::format("row {} was replayed and is not in the {}", id, where);
  return std::nullopt;
}

Record::Finding Record::CheckDeadLetters(const std::vector<Letter>& letters, Whole whole) const {
  std::set<int64_t> present;
  for (const Letter& letter : letters) {
    if (!present.insert(letter.id).second)
      return fmt::format("row {} is in the dead letters more than once", letter.id);
    if (acknowledged_.contains(letter.id))
      return fmt::format("row {} was accepted and is in the dead letters", letter.id);
    const auto refused = refused_.find(letter.id);
    if (refused == refused_.end()) continue;  // its answer was lost
    if (refused->second.card != letter.card || refused->second.amount != letter.amount)
      return fmt::format("row {} is not in the dead letters as it was sent", letter.id);
  }
  if (whole == Whole::kPart) return std::nullopt;
  for (const auto& [id, row] : refused_)
    if (!present.contains(id))
      return fmt::format("row {} was refused and is not in the dead letters", id);
  return std::nullopt;
}

// In long double, which is exact enough to tell a lost or a doubled payment.
Record::Finding Record::CheckAnswer(const Asked& asked, const std::vector<LoggedRow>& log) {
  for (size_t window = 0; window < 2; ++window) {
    const int64_t from = asked.as_of.us - kWindowsUs[window];
    int64_t n = 0;
    long double spend = 0;
    double most = -1;
    for (const LoggedRow& logged : log) {
      const Row& row = logged.row;
      if (logged.epoch > asked.epoch || row.card != asked.card) continue;
      if (row.paid_at_us > asked.as_of.us || row.paid_at_us <= from) continue;
      ++n;
      spend += row.amount;
      most = std::max(most, row.amount);
    }
    const auto wrong = [&](const char* what, const columns::Value& value, auto expected) {
      return fmt::format("card {} at epoch {} over {} h: {} is {}, the log says {}", asked.card,
                         asked.epoch.value, window == 0 ? 1 : 6, what, value.ToJson(), expected);
    };
    const columns::Value& count = asked.values[window];
    const columns::Value& sum = asked.values[2 + window];
    const columns::Value& max = asked.values[4 + window];
    if (n == 0 ? !count.is_null() && count.as_int() != 0 : count.is_null() || count.as_int() != n)
      return wrong("n", count, n);
    if (n == 0) {
      if (!sum.is_null()) return wrong("spend", sum, "nothing");
      if (!max.is_null()) return wrong("most", max, "nothing");
      continue;
    }
    if (sum.is_null() || std::abs(sum.as_double() - static_cast<double>(spend)) > 1e-6)
      return wrong("spend", sum, static_cast<double>(spend));
    if (max.is_null() || max.as_double() != most) return wrong("most", max, most);
  }
  return std::nullopt;
}

Record::Finding Record::CheckAllAsked() const {
  for (const Asked& asked : asked_)
    if (auto finding = CheckAnswer(asked, log_)) return finding;
  return std::nullopt;
}

}  // namespace headrace::simulation
