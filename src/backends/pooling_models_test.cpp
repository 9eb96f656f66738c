#include "backends/pooling_models.h"

#include <gtest/gtest.h>

namespace berth::backends {
namespace {

TEST(NestedEmbeddings, AreKnownByTheFamilysNameHoweverItIsWritten) {
  for (const char* name : {"nomic-embed-text-v1.5", "Nomic Embed Text v1.5", "Qwen3-Embedding-0.6B",
                           "embeddinggemma_300m"}) {
    EXPECT_TRUE(has_nested_embeddings({.name = name})) << name;
    EXPECT_TRUE(has_nested_embeddings({.base_names = {"x", name}})) << name;
  }
}

TEST(NestedEmbeddings, AreNotSupposed) {
  for (const char* name : {"all-MiniLM-L6-v2", "nomic-embed-text-v1", "bge-m3", ""}) {
    EXPECT_FALSE(has_nested_embeddings({.name = name, .base_names = {name}})) << name;
  }
}

TEST(Scores, OfModelsThatSayYesOrNoAreProbabilities) {
  EXPECT_TRUE(scores_are_probabilities({.architecture = "qwen3"}));
  EXPECT_FALSE(scores_are_probabilities({.architecture = "bert"}));
}

}  // namespace
}  // namespace berth::backends
