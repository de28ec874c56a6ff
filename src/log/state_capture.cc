#include "log/state_capture.h"

#include <algorithm>

#include "log/epoch_codec.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ByteReader;
using columns::ByteWriter;

constexpr uint32_t kMagic = 0x31415248;  // "HRA1"
constexpr uint32_t kVersion = 4;         // each later by one than the number of its AnswerForm
constexpr size_t kHeadBytes = 64;

Result<CaptureHead> ReadHead(ByteReader& in) {
  HR_TRY(const uint32_t magic, in.U32());
  HR_TRY(const uint32_t version, in.U32());
  if (magic != kMagic) return Fail(ErrorCode::kCorruption, "this is no capture of a log's state");
  if (version == 0 || version > kVersion)
    return Fail(ErrorCode::kUnsupported,
                "this capture of a log's state was written by a newer version: use that one");
  CaptureHead head;
  head.answers = static_cast<AnswerForm>(version - 1);
  HR_TRY(const auto log, in.Bytes(head.log.bytes.size()));
  std::ranges::copy(log, head.log.bytes.begin());
  HR_TRY(head.epoch.value, in.U64());
  HR_TRY(head.record_checksum, in.U64());
  HR_TRY(head.clock.us, in.I64());
  HR_TRY(head.rows_accepted, in.U64());
  HR_TRY(head.rows_refused, in.U64());
  return head;
}

}  // namespace

void BeginCapture(std::span<const StreamEntry> streams, std::vector<uint8_t>& bytes) {
  bytes.resize(kHeadBytes, 0);
  ByteWriter out(bytes);
  EncodePreface(streams, out);
}

void EndCapture(const CaptureHead& head, std::span<const Watermark> newest,
                std::vector<uint8_t>& bytes) {
  ByteWriter out(bytes);
  out.U32(static_cast<uint32_t>(newest.size()));
  for (const Watermark& mark : newest) {
    out.U32(mark.stream.value);
    out.I64(mark.newest.us);
  }
  std::vector<uint8_t> head_bytes;
  ByteWriter head_out(head_bytes);
  head_out.U32(kMagic);
  head_out.U32(kVersion);
  head_out.Bytes(head.log.bytes);
  head_out.U64(head.epoch.value);
  head_out.U64(head.record_checksum);
  head_out.I64(head.clock.us);
  head_out.U64(head.rows_accepted);
  head_out.U64(head.rows_refused);
  HR_CHECK(head_bytes.size() == kHeadBytes && bytes.size() > kHeadBytes, "a capture without head");
  std::ranges::copy(head_bytes, bytes.begin());
}

Result<CaptureHead> ReadCaptureHead(std::span<const uint8_t> bytes) {
  ByteReader in(bytes);
  return ReadHead(in);
}

Result<std::vector<StreamEntry>> StreamsOf(std::span<const uint8_t> bytes) {
  ByteReader in(bytes);
  HR_TRY(const CaptureHead head, ReadHead(in));
  (void)head;
  Catalogue catalogue;
  HR_TRY_VOID(DecodePreface(in, catalogue));
  return catalogue.entries();
}

Result<CaptureHead> RestoreCapture(std::span<const uint8_t> bytes, Admission& admission,
                                   Catalogue& catalogue) {
  ByteReader in(bytes);
  HR_TRY(const CaptureHead head, ReadHead(in));
  HR_TRY_VOID(DecodePreface(in, catalogue));
  HR_TRY_VOID(admission.LoadAnswers(in, head.answers));
  HR_TRY(const uint32_t count, in.U32());
  std::vector<Watermark> newest;
  for (uint32_t i = 0; i < count; ++i) {
    Watermark mark;
    HR_TRY(mark.stream.value, in.U32());
    HR_TRY(mark.newest.us, in.I64());
    if (catalogue.Find(mark.stream) == nullptr)
      return Fail(ErrorCode::kCorruption, "a capture has a watermark of an unknown stream");
    newest.push_back(mark);
  }
  if (in.remaining() != 0) return Fail(ErrorCode::kCorruption, "bytes behind a capture's end");
  admission.RestoreGate(head.clock, newest);
  return head;
}

}  // namespace headrace::log
