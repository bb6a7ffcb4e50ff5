#pragma once
// CollectionModel: what a collection must hold, as a plain map, to compare one with; and random
// batches.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "collections/attributes.h"
#include "collections/collection.h"

namespace samovar {

struct ModelRow {
  std::vector<float> vector;
  std::string attributes;
  friend bool operator==(const ModelRow&, const ModelRow&) = default;
};
using Model = std::map<std::string, ModelRow>;

// Some hundred rows have a graph, and are merged as soon as nothing is written.
inline CollectionOptions ForGraphs() {
  CollectionOptions options;
  options.first_rows = options.most_rows = 256;
  options.graph_rows = 100;
  options.graph_threads = 2;
  options.small_rows = 512;
  options.idle_turns = 1;
  return options;
}

inline Model Contents(const Snapshot& snapshot) {
  Model model;
  for (auto row = snapshot.Next(std::nullopt); row; row = snapshot.Next(row)) {
    const auto attributes = snapshot.Attributes(*row);
    CHECK(attributes.has_value());
    const std::string id(snapshot.Id(*row));
    EXPECT_FALSE(model.contains(id)) << id << " is there twice";
    model[id] = {snapshot.Vector(*row), std::string(*attributes)};
  }
  return model;
}

// A batch and what it makes of the model. Vectors are of small whole numbers, exact in any storage.
inline Batch RandomBatch(std::mt19937& random, const Schema& schema, Model& model, int ids) {
  auto number = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  Batch batch(schema);
  const int changes = 1 + number(40);
  for (int i = 0; i < changes; ++i) {
    const std::string id = "row-" + std::to_string(number(ids));
    const int kind = number(10);
    if (kind < 6) {
      ModelRow row;
      for (std::uint32_t d = 0; d < schema.dimension; ++d) {
        row.vector.push_back(static_cast<float>(number(9) - 4));
      }
      if (number(2) == 0) row.attributes = "{\"n\":" + std::to_string(number(100)) + "}";
      EXPECT_TRUE(batch.Put(id, row.vector, row.attributes));
      model[id] = row;
    } else if (kind < 8) {
      EXPECT_TRUE(batch.Delete(id));
      model.erase(id);
    } else {
      const std::string patch = "{\"m\":" + std::to_string(number(100)) + "}";
      EXPECT_TRUE(batch.Update(id, patch));
      auto found = model.find(id);
      if (found == model.end()) continue;
      found->second.attributes = MergeAttributes(found->second.attributes, patch).value();
    }
  }
  return batch;
}

inline Result<Ack> CommitOne(Collection& collection, const Batch& batch) {
  return std::move(collection.Commit({batch.Bytes()})[0]);
}

}  // namespace samovar
