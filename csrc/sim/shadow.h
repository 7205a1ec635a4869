// Shadow memory: a cell beside every few bytes that kernels touch, in pages that come into being when they are needed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace ranvier::sim {

struct Access {
  const void* place = nullptr;
  std::uint32_t stamp = 0;  // the block that made it; 0: none did
  std::uint32_t interval = 0, tick = 0;
  std::uint16_t thread = 0;
  bool atomic = false;
};

struct Cell {
  Access write, reads[2];
};

class Shadow {
 public:
  // Calls body(cell, address) for each cell of the bytes, finer cells where the bytes do not fill theirs.
  template <typename Body>
  void visit(std::uintptr_t address, unsigned bytes, const Body& body) {
    const std::uintptr_t end = address + bytes;
    while (address < end) {
      Page& page = page_of(address);
      const std::uintptr_t page_end = (address / kPage + 1) * kPage, stop = std::min(end, page_end);
      const auto needed = static_cast<unsigned>((address | stop) & 3);
      while (page.shift > 0 && (needed & ((1u << page.shift) - 1)) != 0) refine(page);
      const std::uintptr_t step = std::uintptr_t{1} << page.shift;
      for (; address < stop; address += step) body(page.cells[(address % kPage) >> page.shift], address);
    }
  }

  void forget(std::uintptr_t address, std::uint64_t bytes) {
    for (std::uintptr_t page = address / kPage; page <= (address + bytes) / kPage; ++page) {
      const auto found = pages_.find(page);
      if (found == pages_.end()) continue;
      Page& cells = *found->second;
      for (std::size_t i = 0; i < cells.cells.size(); ++i) {
        const std::uintptr_t at = page * kPage + (i << cells.shift);
        if (at >= address && at < address + bytes) cells.cells[i] = Cell{};
      }
    }
  }

 private:
  static constexpr std::uintptr_t kPage = 512;
  static constexpr std::size_t kRecent = 64;

  struct Page {
    unsigned shift = 2;  // bytes per cell: 4, 2 or 1
    std::vector<Cell> cells = std::vector<Cell>(kPage >> 2);
  };

  static void refine(Page& page) {
    std::vector<Cell> finer(page.cells.size() * 2);
    for (std::size_t i = 0; i < finer.size(); ++i) finer[i] = page.cells[i / 2];
    page.cells = std::move(finer);
    --page.shift;
  }

  Page& page_of(std::uintptr_t address) {
    const std::uintptr_t number = address / kPage;
    Recent& recent = recent_[number % kRecent];
    if (recent.page == nullptr || recent.number != number) {
      std::unique_ptr<Page>& page = pages_[number];
      if (page == nullptr) page = std::make_unique<Page>();
      recent = Recent{number, page.get()};
    }
    return *recent.page;
  }

  struct Recent {
    std::uintptr_t number = 0;
    Page* page = nullptr;
  };

  std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages_;
  Recent recent_[kRecent];
};

}  // namespace ranvier::sim
