#include "worker/fetching.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

const cluster::HubAccess kServer{
    .hub = model::Hub::hugging_face, .endpoint = "https://mirror.example", .token = "server's"};

TEST(HubWays, AreTheServersWhereTheWorkerHasNone) {
  const auto settings = merged({}, {kServer});
  EXPECT_EQ(settings.hugging_face.endpoint, "https://mirror.example");
  EXPECT_EQ(settings.hugging_face.token, "server's");
  EXPECT_EQ(settings.ollama.endpoint, sources::HubSettings{}.ollama.endpoint);
}

TEST(HubWays, AreTheWorkersOwnFirst) {
  sources::HubSettings own;
  own.hugging_face = {.endpoint = "https://mirror.example", .token = "own"};
  EXPECT_EQ(merged(own, {kServer}).hugging_face.token, "own");
}

TEST(HubWays, SendATokenToNoOtherServerThanItsOwn) {
  sources::HubSettings own;
  own.hugging_face.endpoint = "https://near.example";
  const auto settings = merged(own, {kServer});
  EXPECT_EQ(settings.hugging_face.endpoint, "https://near.example");
  EXPECT_EQ(settings.hugging_face.token, "");
  own = {};
  own.hugging_face.token = "for huggingface.co";
  auto other = kServer;
  other.token.clear();
  EXPECT_EQ(merged(own, {other}).hugging_face.token, "");
}

TEST(HubWays, HideTheTokenWhereSecretsAreHidden) {
  EXPECT_EQ(to_text(to_json(kServer, Secrets::hide)).find("server's"), std::string::npos);
}

}  // namespace
}  // namespace berth::worker
