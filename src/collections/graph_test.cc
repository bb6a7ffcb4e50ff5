#include "collections/graph.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <random>

#include "collections/graph_build.h"
#include "collections/segment_build.h"
#include "collections/test_files.h"
#include "collections/vectors.h"

namespace samovar {
namespace {

std::vector<float> Point(std::mt19937& random, std::uint32_t dimension) {
  std::normal_distribution<float> normal;
  std::mt19937 middle(random() % 20);  // one of twenty clusters
  std::vector<float> values(dimension);
  for (float& value : values) value = 2 * normal(middle);
  normal.reset();
  for (float& value : values) value += normal(random);
  return values;
}

// A sealed segment of random rows.
class Rows {
 public:
  Rows(const Schema& schema, std::uint64_t number, std::vector<std::vector<float>> points)
      : schema_(schema), points_(std::move(points)) {
    std::vector<EncodedVector> encoded;
    for (const auto& point : points_) encoded.push_back(EncodeVector(schema, point).value());
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < points_.size(); ++i) ids.push_back(std::to_string(i));
    auto row = [&](std::uint64_t i) -> SourceRow {
      const auto& its = encoded[i];
      return {ids[i], "", its.bytes, {.inverse_norm = its.inverse_norm, .scale = its.scale}};
    };
    CHECK(MakeSealedSegment(disk_, folder_.Path(), number, schema, 7, points_.size(), row,
                            Pages::kHuge, [] { return false; })
              .has_value());
    CHECK(MakeLiveFile(disk_, folder_.Path(), {number, 1}, points_.size() + 4096).has_value());
    segment_ =
        Segment::Open(folder_.Path(), {number, 1}, schema, MappedFile::Access::kWrite).value();
  }

  void Build(const GraphSeed& seed = {}, unsigned threads = 2) {
    ASSERT_TRUE(BuildGraph(disk_, folder_.Path(), *segment_, schema_, points_.size(), seed,
                           {.threads = threads}));
    ASSERT_TRUE(segment_->OpenGraph(folder_.Path(), MappedFile::Access::kRead));
    const auto good = segment_->NearGraph()->Verify();
    ASSERT_TRUE(good) << good.error().message;
  }

  // Which part of the ten nearest of those that `admit` lets a walk finds.
  template <class Admit>
  double Recall(std::mt19937& random, std::size_t width, const Admit& admit) const {
    constexpr int kQueries = 50;
    std::size_t found = 0;
    for (int i = 0; i < kQueries; ++i) {
      const auto point = Point(random, schema_.dimension);
      const auto query = QueryVector::Of(schema_, point).value();
      std::vector<float> ranks(points_.size());
      query.Rank(segment_->Vectors(), ranks.size(), segment_->Facts(), ranks.data());
      std::vector<std::uint32_t> order(ranks.size());
      std::iota(order.begin(), order.end(), 0U);
      std::erase_if(order, [&](std::uint32_t row) { return !admit(row); });
      std::ranges::sort(order, [&](auto a, auto b) { return ranks[a] > ranks[b]; });
      WalkScratch scratch;
      EXPECT_TRUE(Walk(point, width, scratch, KeepThose{admit}));
      for (RankedNode& each : scratch.best) each.rank = ranks[each.node];
      std::ranges::sort(scratch.best, kNearerFirst);
      for (std::size_t j = 0; j < std::min<std::size_t>(10, scratch.best.size()); ++j) {
        EXPECT_TRUE(admit(scratch.best[j].node));
        found += static_cast<std::size_t>(
            std::count(order.begin(), order.begin() + 10, scratch.best[j].node));
      }
    }
    return static_cast<double>(found) / (10 * kQueries);
  }

  // Leaves what it finds in the scratch.
  template <class Guide>
  bool Walk(const std::vector<float>& values, std::size_t width, WalkScratch& scratch,
            const Guide& guide) const {
    CodeQuery code(schema_);
    code.Become(values);
    const Graph& graph = *segment_->NearGraph();
    return graph.Search({code, *graph.Codes()}, width, ~std::size_t{0}, scratch, guide);
  }

  // How many rows there is a way to from the first of level 0.
  std::size_t WithinReach() const {
    const Graph& graph = *segment_->NearGraph();
    std::vector<bool> met(points_.size());
    std::vector<std::uint32_t> open{0};
    met[0] = true;
    std::size_t count = 0;
    for (; !open.empty(); ++count) {
      const std::uint32_t* links = graph.Links(open.back());
      open.pop_back();
      for (std::size_t i = 0; i < layout::kLinks && links[i] != layout::kNoLink; ++i) {
        if (!met[links[i]]) open.push_back(links[i]);
        met[links[i]] = true;
      }
    }
    return count;
  }
  // How many rows a walk for themselves meets.
  std::size_t ThatFindThemselves() const {
    std::size_t count = 0;
    for (std::uint32_t row = 0; row < points_.size(); ++row) {
      WalkScratch scratch;
      Walk(points_[row], 64, scratch, KeepThose{[](auto) { return true; }});
      count += std::ranges::count(scratch.best, row, &RankedNode::node) > 0 ? 1 : 0;
    }
    return count;
  }

  const std::string& Folder() const { return folder_.Path(); }
  const std::vector<std::vector<float>>& Points() const { return points_; }
  const Segment& Its() const { return *segment_; }

 private:
  Schema schema_;
  std::vector<std::vector<float>> points_;
  TestFolder folder_;
  Disk disk_;
  SegmentPtr segment_;
};

constexpr auto kAll = [](std::uint32_t) { return true; };

std::vector<std::vector<float>> Points(std::mt19937& random, std::size_t count,
                                       std::uint32_t dimension) {
  std::vector<std::vector<float>> points;
  for (std::size_t i = 0; i < count; ++i) points.push_back(Point(random, dimension));
  return points;
}

TEST(Graph, AWalkFindsNearlyAllOfTheNearestInEachMetricAndStorage) {
  std::mt19937 random(5);
  for (auto metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
    for (auto storage : {Storage::kF32, Storage::kF16, Storage::kI8}) {
      const Schema schema{24, metric, storage};
      Rows rows(schema, 1, Points(random, 3000, 24));
      rows.Build();
      EXPECT_GE(rows.Recall(random, 80, kAll), 0.95)
          << MetricName(metric) << " " << StorageName(storage);
      EXPECT_NE(rows.Its().NearGraph()->Codes(), nullptr);
    }
  }
}

TEST(Graph, RowsThatMayNotBeAnsweredAreWalkedOver) {
  std::mt19937 random(6);
  Rows rows({24, Metric::kL2, Storage::kF32}, 1, Points(random, 3000, 24));
  rows.Build();
  EXPECT_GE(rows.Recall(random, 80, [](std::uint32_t row) { return row % 10 == 0; }), 0.95);
}

// What a search does that wants more than it began with, or meets rows that are gone.
TEST(Graph, AWalkThatIsWidenedFindsWhatAWideOneFinds) {
  std::mt19937 random(13);
  const Schema schema{24, Metric::kL2, Storage::kF32};
  Rows rows(schema, 1, Points(random, 3000, 24));
  rows.Build();
  const Graph& graph = *rows.Its().NearGraph();
  const KeepThose odd{[](std::uint32_t row) { return row % 2 == 1; }};
  std::size_t found = 0;
  std::size_t met = 0;
  for (int i = 0; i < 50; ++i) {
    const auto point = Point(random, 24);
    CodeQuery code(schema);
    code.Become(point);
    WalkScratch wide;
    ASSERT_TRUE(rows.Walk(point, 100, wide, odd));
    WalkScratch scratch;
    ASSERT_TRUE(rows.Walk(point, 10, scratch, odd));
    const std::size_t before = scratch.visited.Count();
    ASSERT_TRUE(graph.SearchOn({code, *graph.Codes()}, 100, ~std::size_t{0}, scratch, odd));
    ASSERT_EQ(scratch.best.size(), 100U);
    met += scratch.visited.Count() > before ? 1 : 0;
    std::vector<std::uint32_t> nodes;
    for (const RankedNode& each : scratch.best) nodes.push_back(each.node);
    std::ranges::sort(nodes);
    EXPECT_TRUE(std::ranges::unique(nodes).empty());
    for (const RankedNode& each : wide.best) {
      found += std::ranges::binary_search(nodes, each.node) ? 1 : 0;
    }
  }
  EXPECT_EQ(met, 50U);
  EXPECT_GE(found, 50U * 99);
}

TEST(Graph, FewAndEqualRowsHaveAGraphToo) {
  std::mt19937 random(7);
  for (std::size_t count : {10U, 11U, 40U}) {
    Rows rows({3, Metric::kCosine, Storage::kF32}, 1, Points(random, count, 3));
    rows.Build();
    EXPECT_EQ(rows.Recall(random, 80, kAll), 1.0) << count;
  }
  Rows same({3, Metric::kL2, Storage::kF32}, 1, {500, std::vector<float>{1, 2, 3}});
  same.Build();
  WalkScratch scratch;
  EXPECT_TRUE(same.Walk({0, 0, 0}, 20, scratch, KeepThose{kAll}));
  EXPECT_EQ(scratch.best.size(), 20U);
}

// The first of them are found by all the others, and have no room for a way to each. Some have one
// over farther rows alone, which a walk with as many candidates as there are equal rows misses (up
// to 33 of these 5,000 in 15 builds).
TEST(Graph, ThousandsOfEqualRowsAmongOthersAreFound) {
  constexpr std::size_t kEqual = 5000;
  const Schema schema{24, Metric::kL2, Storage::kF32};
  std::mt19937 random(12);
  auto points = Points(random, 2000, 24);
  const std::vector<float> same = points[0];
  points.resize(2000 + kEqual - 1, same);
  Rows rows(schema, 1, std::move(points));
  rows.Build();
  EXPECT_EQ(rows.WithinReach(), 2000 + kEqual - 1);
  WalkScratch scratch;
  const auto found = [&](std::size_t width) {
    EXPECT_TRUE(rows.Walk(same, width, scratch, KeepThose{kAll}));
    return std::ranges::count_if(
        scratch.best, [&](const auto& each) { return rows.Points()[each.node] == same; });
  };
  EXPECT_EQ(found(2000 + kEqual), static_cast<std::ptrdiff_t>(kEqual));
  EXPECT_GE(found(kEqual), static_cast<std::ptrdiff_t>(kEqual - kEqual / 50));
}

TEST(Graph, LinksOfAnotherSegmentsGraphAreTakenOver) {
  std::mt19937 random(8);
  const Schema schema{24, Metric::kCosine, Storage::kF32};
  Rows old(schema, 1, Points(random, 3000, 24));
  old.Build();
  // A third of the rows is gone, the others stand in another order, and as many came.
  std::vector<std::uint32_t> moved(3000, layout::kNoLink);
  std::vector<std::vector<float>> points = Points(random, 700, 24);
  for (std::size_t row = 3000; row-- > 0;) {
    if (row % 3 == 0) continue;
    moved[row] = static_cast<std::uint32_t>(points.size());
    points.push_back(old.Points()[row]);
  }
  for (auto& point : Points(random, 300, 24)) points.push_back(std::move(point));
  Rows merged(schema, 2, std::move(points));
  merged.Build({old.Its().NearGraph(), &moved});
  EXPECT_GE(merged.Recall(random, 80, kAll), 0.95);
}

// As merges see them: rows in clusters that lie far apart, cluster after cluster, half of them with
// links already.
TEST(Graph, EveryRowIsWithinReachAfterAMergeOfRowsInClusters) {
  const Schema schema{96, Metric::kCosine, Storage::kF32};
  std::normal_distribution<float> normal;
  for (std::size_t each : {14U, 15U}) {
    std::mt19937 random(10);
    std::vector<std::vector<float>> points;
    std::vector<std::vector<float>> before;
    std::vector<std::uint32_t> moved;
    for (int cluster = 0; cluster < 300; ++cluster) {
      std::vector<float> middle(96);
      for (float& value : middle) value = normal(random);
      for (std::size_t i = 0; i < each; ++i) {
        std::vector<float> point = middle;
        for (float& value : point) value += normal(random);
        if (random() % 2 == 0) {
          moved.push_back(static_cast<std::uint32_t>(points.size()));
          before.push_back(point);
        }
        points.push_back(std::move(point));
      }
    }
    Rows old(schema, 1, std::move(before));
    old.Build({}, 1);
    Rows merged(schema, 2, std::move(points));
    merged.Build({old.Its().NearGraph(), &moved}, 1);
    EXPECT_EQ(merged.WithinReach(), 300 * each);
    EXPECT_EQ(merged.ThatFindThemselves(), 300 * each);
  }
}

TEST(Graph, OneOfTheFormatBeforeIsRefusedByName) {
  std::mt19937 random(14);
  Rows rows({8, Metric::kL2, Storage::kF32}, 1, Points(random, 400, 8));
  rows.Build();
  const std::string path = GraphPath(rows.Folder(), 1);
  std::string bytes = ReadFile(path).value();
  bytes.replace(0, 8, layout::kOldGraphMagic);
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
  const auto graph = Graph::Open(rows.Folder(), rows.Its().Header(), MappedFile::Access::kRead);
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().code, Code::kUnsupported);
  EXPECT_TRUE(graph.error().message.contains("older format")) << graph.error().message;
}

TEST(Graph, DamageIsFound) {
  std::mt19937 random(9);
  Rows rows({8, Metric::kL2, Storage::kF32}, 1, Points(random, 400, 8));
  rows.Build();
  const std::string path = GraphPath(rows.Folder(), 1);
  const auto size = std::filesystem::file_size(path);
  for (std::uint64_t at : {std::uint64_t{0}, std::uint64_t{30}, std::uint64_t{5000},
                           rows.Its().NearGraph()->Header().facts_at + 9,
                           rows.Its().NearGraph()->Header().links_at + 9,
                           offsetof(layout::GraphHeader, advice) + 4, size - 1}) {
    std::string bytes = ReadFile(path).value();
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
    auto graph = Graph::Open(rows.Folder(), rows.Its().Header(), MappedFile::Access::kRead);
    EXPECT_FALSE(graph && (*graph)->Verify()) << at;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::ofstream(path, std::ios::binary) << bytes;
  }
}

}  // namespace
}  // namespace samovar
