#pragma once
// One accepted connection and its session, on its loop's thread.
// 1. It reads into its loop's one buffer when the socket became readable: an idle connection costs
// no buffer.
// 2. Whatever the session writes during one turn (bytes in, a task, a tick) is sent by one call
// behind the turn, with what others of the loop wrote in this round; what the socket does not take
// waits until it is writable, and above the limit the peer is not read.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "env/network.h"
#include "env/real/file_descriptor.h"
#include "env/real/io_loop.h"

namespace headrace::env::real {

class TcpConnection;

// What a listener's connections share; outlives the listener while a connection is referenced.
struct ListenerState {
  ConnectionLimits limits;
  SessionFactory factory;
  std::atomic<size_t> connections{0};
  std::atomic<size_t> refusals{0};  // connections that only get the refusal
  std::mutex mutex;
  std::condition_variable none_left;
  // The open connections of each loop, touched on its thread only.
  std::vector<std::unordered_set<std::shared_ptr<TcpConnection>>> open;
};

class TcpConnection final : public Connection, private IoLoop::Watcher {
 public:
  // `socket` does not block. Without a charge this connection is one too many: it gets the refusal
  // and has no session.
  TcpConnection(std::shared_ptr<ListenerState> listener, std::shared_ptr<IoLoop> loop,
                size_t loop_index, FileDescriptor socket, std::string peer,
                std::optional<base::MemoryCharge> charge);

  // On the loop's thread, like all that follows but Run.
  void Start();
  void Tick(MonotonicTime now);
  void Drain();

  void Run(Task task) override;
  void Write(std::string bytes) override;
  size_t unsent_bytes() const override { return out_.size() - out_sent_ + behind_bytes_; }
  bool choked() const override { return unsent_bytes() > listener_->limits.unsent_bytes_max; }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override;
  void CloseAfterWrites() override { closing_ = true; }
  void Close() override;
  const std::string& peer() const override { return peer_; }

 private:
  class Turn;

  std::shared_ptr<TcpConnection> Self();
  void OnReady(uint32_t events) override;
  void OnDue() override;

  bool MayRead() const;
  void ReadSoon();
  void ReadReady();
  // Whether there may be more.
  bool ReadOnce();
  void InputEnded();

  void FlushSoon();
  void Flush();
  ssize_t Send();
  void TakeSent(size_t bytes);
  void Unchoke();
  void ChargeUnsent();
  void Linger();

  const std::shared_ptr<ListenerState> listener_;
  const std::shared_ptr<IoLoop> loop_;
  const size_t loop_index_;
  FileDescriptor socket_;
  const std::string peer_;
  std::optional<base::MemoryCharge> charge_;
  std::unique_ptr<Session> session_;  // none for a refused one
  uint64_t charged_unsent_ = 0;
  std::string out_;  // waits to be sent
  size_t out_sent_ = 0;
  std::vector<std::string> behind_;  // behind out_, which is not copied for a long piece
  size_t behind_bytes_ = 0;
  int turns_ = 0;
  MonotonicTime last_byte_;
  MonotonicTime last_byte_out_{0};
  bool readable_ = false;    // there may be bytes that no edge will tell of again
  bool hung_up_ = false;     // the end of the input is behind them, and has been told
  bool reads_soon_ = false;  // ReadSoon's task is on its way
  bool flushes_soon_ = false;
  bool unwritable_ = false;  // the socket takes no more until the next edge
  bool paused_ = false;      // by the session
  bool choked_ = false;      // too much unsent
  bool closing_ = false;     // CloseAfterWrites
  bool lingering_ = false;   // output ended, input thrown away
  bool input_ended_ = false;
  bool closed_ = false;
};

}  // namespace headrace::env::real
