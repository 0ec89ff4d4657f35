/* Decoding in blocks: which block is being filled, what its iterations work on, and when it is over. */
#include "diffusion/pipeline.h"
#include "test/expect.h"

enum { MASK = 9, LENGTH = 11 };

static const text_parameters model = {.eos_token = 7};

static canvas masked_canvas(const int32_t *fixed, int32_t fixed_count) {
  int32_t tokens[LENGTH];
  canvas c = {0};
  for (int32_t i = 0; i < LENGTH; i++) tokens[i] = MASK;
  for (int32_t i = 0; i < fixed_count; i++) tokens[fixed[i]] = 1;
  EXPECT_OK(canvas_create(tokens, LENGTH, MASK, &c));
  return c;
}

static dimple_decoding decoding(int32_t block_length, int32_t steps, int32_t cache) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.pipeline = DIMPLE_PIPELINE_LLADA;
  d.threshold = 0;
  d.block_length = block_length;
  d.steps = steps;
  d.cache = cache;
  return d;
}

/* Reveals the first `count` candidates of the coming iteration, and goes on. */
static bool advance(blocks *b, canvas *c, const block_plan *plan, int32_t count) {
  int32_t positions[LENGTH], tokens[LENGTH];
  for (int32_t i = 0; i < count; i++) {
    positions[i] = c->masked[plan->from + i];
    tokens[i] = 1;
  }
  canvas_reveal(c, positions, tokens, count);
  return blocks_advance(b, c, pipeline_of(b->decoding)->blocks);
}

static block_plan plan_of(const blocks *b, const canvas *c) { return blocks_plan(b, c, pipeline_of(b->decoding)->blocks); }

/* The last block is shorter; steps that are left over go to the first blocks; a quota's remainder to the first iterations. */
static void blocks_and_steps_need_not_divide(void) {
  static const int32_t quotas[] = {2, 1, 1, 2, 1, 1, 2, 1};
  dimple_decoding d = decoding(4, 8, DIMPLE_CACHE_MODEL);
  canvas c = masked_canvas(NULL, 0);
  blocks b;
  bool more = blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0);
  for (int32_t i = 0; i < 8; i++) {
    EXPECT(more, "over after %d iterations", i);
    block_plan plan = plan_of(&b, &c);
    EXPECT(plan.due == quotas[i] && plan.scope.kind == SCOPE_ALL, "iteration %d: %d due", i, plan.due);
    EXPECT(b.first == (i < 3 ? 0 : i < 6 ? 4 : 8) && b.end == (i < 3 ? 4 : i < 6 ? 8 : LENGTH), "iteration %d: %d to %d", i, b.first, b.end);
    more = advance(&b, &c, &plan, plan.due);
  }
  EXPECT(!more && c.masked_count == 0, "%d masked", c.masked_count);
  canvas_free(&c);
}

static void full_blocks_are_passed_over(void) {
  static const int32_t fixed[] = {0, 1, 2, 3, 5, 8, 9, 10};
  dimple_decoding d = decoding(4, LENGTH, DIMPLE_CACHE_PREFIX);
  canvas c = masked_canvas(fixed, 8);
  blocks b;
  EXPECT(blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0) && b.index == 1 && b.masked == 3, "block %d with %d masks", b.index, b.masked);
  block_plan plan = plan_of(&b, &c);
  EXPECT(plan.scope.kind == SCOPE_ALL && plan.from == 0 && plan.count == 3, "%d candidates", plan.count);
  EXPECT(advance(&b, &c, &plan, 1), "two are left");
  plan = plan_of(&b, &c);
  EXPECT(plan.scope.kind == SCOPE_PART && plan.scope.first == 4 && plan.scope.end == LENGTH, "%d to %d", plan.scope.first, plan.scope.end);
  EXPECT(!advance(&b, &c, &plan, 2), "the last block has no mask");
  canvas_free(&c);
  int32_t all[LENGTH];
  for (int32_t i = 0; i < LENGTH; i++) all[i] = i;
  c = masked_canvas(all, LENGTH);
  EXPECT(!blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0), "nothing to do");
  canvas_free(&c);
}

/* Fast-dLLM's dual cache leaves masks when its steps are used up: they are candidates of the next block's first pass, and a complete
 * decoding takes what is left in the end. */
static void what_is_left_is_taken_at_the_end(void) {
  for (int32_t complete = 0; complete < 2; complete++) {
    dimple_decoding d = decoding(6, 4, DIMPLE_CACHE_DUAL);
    d.threshold = 0.5f;
    d.complete = complete;
    canvas c = masked_canvas(NULL, 0);
    blocks b;
    EXPECT(blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0) && b.steps == 2, "%d steps", b.steps);
    block_plan plan = plan_of(&b, &c);
    EXPECT(advance(&b, &c, &plan, 1), "the first pass");
    plan = plan_of(&b, &c);
    EXPECT(plan.scope.kind == SCOPE_PART && plan.scope.first == 0 && plan.scope.end == 6 && plan.count == 5, "the block alone");
    EXPECT(advance(&b, &c, &plan, 1) && b.index == 1, "the next block");
    plan = plan_of(&b, &c);
    EXPECT(plan.scope.kind == SCOPE_ALL && plan.from == 0 && plan.count == 9, "%d candidates, 4 of them left", plan.count);
    EXPECT(advance(&b, &c, &plan, 2), "two of these");
    plan = plan_of(&b, &c);
    EXPECT(plan.from == 2 && plan.count == 5, "from %d, %d candidates", plan.from, plan.count);
    bool more = advance(&b, &c, &plan, 1);
    EXPECT(more == (complete == 1) && c.masked_count == 6, "%d masked", c.masked_count);
    for (int32_t left = 6; more; left--) {
      plan = plan_of(&b, &c);
      EXPECT(plan.scope.kind == SCOPE_ALL && plan.count == left && plan.due == 1, "%d candidates", plan.count);
      more = advance(&b, &c, &plan, 1);
    }
    EXPECT(c.masked_count == (complete ? 0 : 6), "%d masked", c.masked_count);
    canvas_free(&c);
  }
}

/* LLaDA's own code runs all steps; with what is Fast-dLLM's, and in a complete decoding, a full block is over. */
static void idle_steps_are_the_authors(void) {
  for (int32_t way = 0; way < 3; way++) {
    dimple_decoding d = decoding(LENGTH, 2 * LENGTH, way == 1 ? DIMPLE_CACHE_NONE : DIMPLE_CACHE_MODEL);
    d.complete = way == 2;
    canvas c = masked_canvas(NULL, 0);
    blocks b;
    int32_t iterations = 0;
    for (bool more = blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0); more; iterations++) {
      block_plan plan = plan_of(&b, &c);
      EXPECT(plan.due == (iterations < LENGTH) && (plan.due > 0 || plan.count == 0), "iteration %d: %d due", iterations, plan.due);
      more = advance(&b, &c, &plan, plan.due);
    }
    EXPECT(iterations == (way == 0 ? 2 * LENGTH : LENGTH), "%d iterations", iterations);
    canvas_free(&c);
  }
}

/* dInfer looks at a block every min(masks / expected_tpf, maximum_unroll) iterations, and ends behind one that holds the end of the text. */
static void groups_and_the_end_of_the_text(void) {
  for (int32_t complete = 0; complete < 2; complete++) {
    dimple_decoding d = decoding(8, LENGTH, DIMPLE_CACHE_MODEL);
    d.algorithm = DIMPLE_ALGORITHM_HIERARCHY;
    d.expected_tpf = 2;
    d.complete = complete;
    canvas c = masked_canvas(NULL, 0);
    blocks b;
    EXPECT(blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0) && b.group_end == 4, "a group of %d", b.group_end);
    block_plan plan = plan_of(&b, &c);
    EXPECT(plan.from == 0 && plan.count == 8, "%d candidates", plan.count);
    canvas_reveal(&c, (int32_t[]){5}, (int32_t[]){7}, 1); /* the end of the text */
    plan = plan_of(&b, &c);
    bool more = advance(&b, &c, &plan, 7);
    int32_t iterations = 1;
    for (; more; iterations++) {
      plan = plan_of(&b, &c);
      EXPECT(plan.count == 0 && b.index == 0, "idle in block %d", b.index);
      more = advance(&b, &c, &plan, 0);
    }
    EXPECT(iterations == (complete ? 1 : 4) && c.masked_count == 3, "%d iterations, %d masked", iterations, c.masked_count);
    canvas_free(&c);
  }
}

/* Dream's blocks: the first position from the pass over everything, then the schedule from its second level on. */
static void dream_reveals_the_first_position_first(void) {
  dimple_decoding d = decoding(6, 12, DIMPLE_CACHE_PREFIX);
  d.pipeline = DIMPLE_PIPELINE_DREAM;
  canvas c = masked_canvas((int32_t[]){7}, 1);
  blocks b;
  EXPECT(blocks_begin(&b, &d, &c, &model, pipeline_of(&d)->blocks, 0), "it begins");
  block_plan plan = plan_of(&b, &c);
  EXPECT(plan.scope.kind == SCOPE_ALL && plan.from == 0 && plan.count == 1 && plan.due == 1, "%d candidates", plan.count);
  advance(&b, &c, &plan, 1);
  static const int32_t counts[] = {0, 1, 1, 1, 2}; /* int(open * (1 - t[i + 1] / t[i])) of six levels, from i = 1 on */
  for (int32_t i = 0; i < 5; i++) {
    plan = plan_of(&b, &c);
    EXPECT(plan.scope.kind == SCOPE_PART && plan.scope.first == 0 && plan.due == counts[i], "iteration %d: %d due", i + 1, plan.due);
    advance(&b, &c, &plan, plan.due);
  }
  EXPECT(b.index == 1 && b.first == 6, "block %d", b.index);
  canvas_reveal(&c, (int32_t[]){6}, (int32_t[]){1}, 1); /* as if it had been given */
  plan = plan_of(&b, &c);
  EXPECT(plan.scope.kind == SCOPE_ALL && plan.count == 3 && plan.due == 0, "the pass is run for its keys and values: %d due", plan.due);
  canvas_free(&c);
}

int main(void) {
  blocks_and_steps_need_not_divide();
  full_blocks_are_passed_over();
  what_is_left_is_taken_at_the_end();
  idle_steps_are_the_authors();
  groups_and_the_end_of_the_text();
  dream_reveals_the_first_position_first();
  return expect_summary("blocks");
}
