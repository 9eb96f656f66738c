#include "gateway/media.h"

#include "gateway/request_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

using testing::HasSubstr;

TEST(CheckMedia, TakesTextAndDataUrls) {
  for (
      const char* messages :
      {R"([])", R"([{"role": "user", "content": "see http://example.org/image_url"}])",
       R"([{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}])",
       R"([{"content": [{"type": "image_url", "image_url": "data:image/png;base64,AA"}]}])",
       R"([{"content": [{"type": "text", "text": "\u00e4 image_url http://x"}]}])", R"("text")",
       R"([{"content": [{"image_url": 3}, "x"]}, 4])"}) {
    EXPECT_TRUE(check_media(messages)) << messages;
  }
}

TEST(CheckMedia, RefusesAddressesHoweverTheyAreWritten) {
  for (const char* messages :
       {R"([{"content": [{"image_url": {"url": "http://169.254.169.254/x"}}]}])",
        R"([{"content": [{"image_url": "https://example.org/a.png"}]}])",
        R"([{"content": [{"image_url": {"url": "file:///etc/passwd"}}]}])",
        R"([{"content": [{"image\u005furl": {"url": "http://x"}}]}])",
        R"([{"content": [{"image_\u0075rl": {"\u0075rl": "h\u0074tp://x"}}]}])",
        R"([{"content": [{"video_url": {"url": "HTTP://x"}}]}])",
        R"([{"content": [{"image_url": {"url": " data:image/png"}}]}])",
        R"([{"content": "x"}, {"content": [{"audio_url": {"url": "ftp://x"}}]}])"}) {
    const auto checked = check_media(messages);
    ASSERT_FALSE(checked) << messages;
    EXPECT_EQ(checked.error().field, "messages");
    EXPECT_THAT(checked.error().message, HasSubstr("must be a data URL"));
  }
}

TEST(CheckMedia, IsAskedForEveryBody) {
  const auto body = read_body(
      R"({"model": "m", "messages": [{"content": [{"image_url": {"url": "http://x"}}]}]})");
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().field, "messages");
}

}  // namespace
}  // namespace berth::gateway
