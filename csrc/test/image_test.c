/* Target sizes, resize and patches against the authors' results, and pictures of extreme shapes. */
#include "vision/image.h"

#include <inttypes.h>
#include <stdlib.h>

#include "expect.h"
#include "files.h"

static image_parameters parameters_with(int64_t min_pixels, int64_t max_pixels) {
  return (image_parameters){.patch_size = 14,
                            .merge_size = 2,
                            .temporal_patch = 2,
                            .min_pixels = min_pixels,
                            .max_pixels = max_pixels,
                            .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                            .std = {0.26862954f, 0.26130258f, 0.27577711f}};
}

static void test_check(void) {
  const uint8_t rgb[6] = {0};
  EXPECT_OK(image_check(&(dimple_image){rgb, 2, 1, 6}));
  EXPECT_OK(image_check(&(dimple_image){rgb, 1, 2, 3}));
  EXPECT_FAILS(image_check(&(dimple_image){NULL, 2, 1, 6}), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(image_check(&(dimple_image){rgb, 0, 1, 6}), DIMPLE_ERROR_ARGUMENT, "0 x 1");
  EXPECT_FAILS(image_check(&(dimple_image){rgb, 2, -1, 6}), DIMPLE_ERROR_ARGUMENT, "2 x -1");
  EXPECT_FAILS(image_check(&(dimple_image){rgb, 2, 1, 5}), DIMPLE_ERROR_ARGUMENT, "row_stride is 5");
  EXPECT_FAILS(image_check(&(dimple_image){rgb, INT32_MAX, 1, INT32_MAX}), DIMPLE_ERROR_ARGUMENT, "row_stride");
}

/* ---------------------------------------------------------------------------------------------------------- target sizes */

static void test_grids(const char *name, bool enlarges, int expected) {
  FILE *file = open_data(name);
  int32_t height, width, resized_height, resized_width;
  int64_t min_pixels, max_pixels;
  int rows = 0;
  while (fscanf(file, "%" SCNd32 "%" SCNd32 "%" SCNd64 "%" SCNd64 "%" SCNd32 "%" SCNd32, &height, &width, &min_pixels, &max_pixels,
                &resized_height, &resized_width) == 6) {
    rows++;
    image_parameters parameters = parameters_with(min_pixels, max_pixels);
    parameters.enlarges = enlarges;
    dimple_image_grid grid = {0};
    if (resized_height == 0) {
      EXPECT_FAILS(image_grid(&parameters, width, height, &grid), DIMPLE_ERROR_ARGUMENT, "pixels: ");
      continue;
    }
    EXPECT_OK(image_grid(&parameters, width, height, &grid));
    EXPECT(grid.resized_height == resized_height && grid.resized_width == resized_width, "%d x %d gave %d x %d, not %d x %d", width,
           height, grid.resized_width, grid.resized_height, resized_width, resized_height);
    EXPECT(grid.rows == resized_height / 14 && grid.columns == resized_width / 14 && grid.tokens == grid.rows * grid.columns / 4,
           "grid %d x %d, %d tokens", grid.columns, grid.rows, grid.tokens);
  }
  EXPECT(rows == expected, "%d rows", rows);
  fclose(file);
}

static void test_grid_errors(void) {
  image_parameters parameters = parameters_with(3136, 1003520);
  dimple_image_grid grid = {.tokens = -7};
  EXPECT_FAILS(image_grid(&parameters, 27, 100, &grid), DIMPLE_ERROR_ARGUMENT, "below 28");
  EXPECT_FAILS(image_grid(&parameters, 100, 27, &grid), DIMPLE_ERROR_ARGUMENT, "below 28");
  EXPECT_FAILS(image_grid(&parameters, 0, 0, &grid), DIMPLE_ERROR_ARGUMENT, "below 28");
  EXPECT_FAILS(image_grid(&parameters, -5, INT32_MIN, &grid), DIMPLE_ERROR_ARGUMENT, "below 28");
  EXPECT_FAILS(image_grid(&parameters, 28, 5601, &grid), DIMPLE_ERROR_ARGUMENT, "above 200");
  EXPECT_FAILS(image_grid(&parameters, INT32_MAX, 28, &grid), DIMPLE_ERROR_ARGUMENT, "above 200");
  parameters = parameters_with(784, 4000);
  EXPECT_FAILS(image_grid(&parameters, 28, 5600, &grid), DIMPLE_ERROR_ARGUMENT, "within 4000");
  parameters = parameters_with(784, INT64_MAX);
  EXPECT_FAILS(image_grid(&parameters, INT32_MAX, INT32_MAX, &grid), DIMPLE_ERROR_ARGUMENT, "2^31");
  EXPECT(grid.tokens == -7, "a failure changed the grid");
}

/* --------------------------------------------------------------------------------------------------------------- goldens */

static void test_picture(const char *name, int64_t min_pixels, int64_t max_pixels) {
  FILE *file = open_data(name);
  int32_t header[5] = {0}; /* width, height, resized width, resized height, number of patches */
  EXPECT(fread(header, sizeof header, 1, file) == 1, "%s is short", name);
  size_t size = (size_t)header[0] * (size_t)header[1] * 3, resized_size = (size_t)header[2] * (size_t)header[3] * 3;
  uint8_t *rgb = malloc(size), *expected = malloc(resized_size), *resized = malloc(resized_size);
  EXPECT(fread(rgb, size, 1, file) == 1 && fread(expected, resized_size, 1, file) == 1, "%s is short", name);

  image_parameters parameters = parameters_with(min_pixels, max_pixels);
  dimple_image image = {rgb, header[0], header[1], 3 * (int64_t)header[0]};
  dimple_image_grid grid;
  EXPECT_OK(image_grid(&parameters, image.width, image.height, &grid));
  EXPECT(grid.resized_width == header[2] && grid.resized_height == header[3], "%s: %d x %d", name, grid.resized_width, grid.resized_height);
  EXPECT_OK(image_resize(&image, RESIZE_PIL, header[2], header[3], resized));
  EXPECT(memcmp(resized, expected, resized_size) == 0, "%s: the resized picture differs", name);

  enum { PATCH_LENGTH = 3 * 2 * 14 * 14 };
  float *patches = malloc((size_t)grid.rows * (size_t)grid.columns * PATCH_LENGTH * sizeof *patches);
  image_patches(&parameters, &grid, expected, patches);
  for (int i = 0; i < header[4]; i++) {
    int32_t number = -1;
    float values[PATCH_LENGTH];
    EXPECT(fread(&number, sizeof number, 1, file) == 1 && fread(values, sizeof values, 1, file) == 1, "%s is short", name);
    EXPECT(number >= 0 && number < grid.rows * grid.columns && memcmp(patches + (size_t)number * PATCH_LENGTH, values, sizeof values) == 0,
           "%s: patch %d differs", name, number);
  }
  EXPECT(fgetc(file) == EOF, "%s is too long", name);
  free(patches);
  free(resized);
  free(expected);
  free(rgb);
  fclose(file);
}

/* The same picture with gaps between its rows gives the same bytes. */
static void test_row_stride(void) {
  enum { WIDTH = 31, HEIGHT = 17, STRIDE = 3 * WIDTH + 5 };
  static uint8_t tight[HEIGHT * WIDTH * 3], gapped[HEIGHT * STRIDE], a[40 * 40 * 3], b[40 * 40 * 3];
  for (int i = 0; i < HEIGHT * WIDTH * 3; i++) tight[i] = (uint8_t)(i * 37 % 251);
  memset(gapped, 0xee, sizeof gapped);
  for (int y = 0; y < HEIGHT; y++) memcpy(gapped + y * STRIDE, tight + y * WIDTH * 3, WIDTH * 3);
  const int32_t sizes[][2] = {{40, 40}, {10, 5}, {WIDTH, 40}, {40, HEIGHT}, {WIDTH, HEIGHT}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t bytes = (size_t)sizes[i][0] * (size_t)sizes[i][1] * 3;
    EXPECT_OK(image_resize(&(dimple_image){tight, WIDTH, HEIGHT, 3 * WIDTH}, RESIZE_PIL, sizes[i][0], sizes[i][1], a));
    EXPECT_OK(image_resize(&(dimple_image){gapped, WIDTH, HEIGHT, STRIDE}, RESIZE_PIL, sizes[i][0], sizes[i][1], b));
    EXPECT(memcmp(a, b, bytes) == 0, "%d x %d", sizes[i][0], sizes[i][1]);
  }
  EXPECT(memcmp(a, tight, sizeof tight) == 0, "a resize to the same size changed the picture");
}

/* Pictures of one colour keep it in every shape, however far they shrink or grow. */
static void test_extreme_shapes(void) {
  const int32_t shapes[][4] = {{1, 1, 1, 1},    {1, 1, 300, 200},  {20000, 10, 28, 28}, {10, 20000, 56, 28},
                               {2, 3, 500, 1},  {100000, 1, 1, 1}, {1, 100000, 1, 7},   {28, 28, 10000, 28},
                               {3, 5, 29, 4001}, {4000, 3000, 28, 28}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    size_t size = (size_t)shapes[i][0] * (size_t)shapes[i][1] * 3, resized_size = (size_t)shapes[i][2] * (size_t)shapes[i][3] * 3;
    uint8_t *rgb = malloc(size), *resized = malloc(resized_size);
    for (size_t j = 0; j < size; j++) rgb[j] = (uint8_t[]){0, 255, 77}[j % 3];
    EXPECT_OK(image_resize(&(dimple_image){rgb, shapes[i][0], shapes[i][1], 3 * (int64_t)shapes[i][0]}, RESIZE_PIL, shapes[i][2], shapes[i][3], resized));
    size_t wrong = 0;
    for (size_t j = 0; j < resized_size; j++) wrong += resized[j] != (uint8_t[]){0, 255, 77}[j % 3];
    EXPECT(wrong == 0, "%d x %d to %d x %d: %zu bytes changed", shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], wrong);
    free(resized);
    free(rgb);
  }
}

/* Black and white pixels in the worst patterns: the sums reach their extremes and must clip, not wrap. A negative must then
 * resize to the negative, but for rounding in each of the two passes. */
static void test_clipping(void) {
  enum { SIDE = 64, LARGEST = 4 * SIDE };
  static uint8_t rgb[SIDE * SIDE * 3], negative[SIDE * SIDE * 3], a[LARGEST * LARGEST * 3], b[LARGEST * LARGEST * 3];
  for (int period = 1; period <= 8; period++) {
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
      rgb[i] = (i / 3 % SIDE / period + i / 3 / SIDE / period) % 2 ? 255 : 0;
      negative[i] = 255 - rgb[i];
    }
    for (int32_t side = 5; side <= LARGEST; side += 13) {
      EXPECT_OK(image_resize(&(dimple_image){rgb, SIDE, SIDE, 3 * SIDE}, RESIZE_PIL, side, side, a));
      EXPECT_OK(image_resize(&(dimple_image){negative, SIDE, SIDE, 3 * SIDE}, RESIZE_PIL, side, side, b));
      int largest = 0;
      for (int i = 0; i < side * side * 3; i++) {
        int difference = abs(a[i] + b[i] - 255);
        largest = difference > largest ? difference : largest;
      }
      EXPECT(largest <= 2, "period %d, side %d: off by %d", period, side, largest);
    }
  }
}

int main(void) {
  test_check();
  test_grids("smart_resize.txt", false, 68);
  test_grids("enlarged_sizes.txt", true, 150); /* Dream-VL's, tests/reference/dream_vl_sizes.py */
  test_grid_errors();
  test_picture("image_beta_0.bin", 3136, 11760);
  test_picture("image_gamma_1.bin", 3136, 1003520);
  test_row_stride();
  test_extreme_shapes();
  test_clipping();
  return expect_summary("image");
}
