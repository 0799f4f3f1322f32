// llm.c's GPT-2 on random tokens: model file, batch, tokens in a row, warm steps, counted steps. Prints processor and wall seconds of the
// counted steps as a line of JSON. To be compiled beside llm.c's train_gpt2.c, whose own `main` TESTING leaves out.
#define TESTING
#include "train_gpt2.c"

static double seconds(clockid_t clock_id) {
    struct timespec now;
    clock_gettime(clock_id, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int batch = atoi(argv[2]), row = atoi(argv[3]), warm = atoi(argv[4]), counted = atoi(argv[5]);
    GPT2 model;
    gpt2_build_from_checkpoint(&model, argv[1]);
    int *ids = (int *)mallocCheck((batch * row + 1) * sizeof(int));
    double cpu = 0, wall = 0;
    for (int step = 0; step < warm + counted; step++) {
        if (step == warm) {
            cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
            wall = seconds(CLOCK_MONOTONIC);
        }
        for (int at = 0; at <= batch * row; at++) ids[at] = rand() % model.config.vocab_size;
        gpt2_forward(&model, ids, ids + 1, batch, row);
        gpt2_zero_grad(&model);
        gpt2_backward(&model);
        gpt2_update(&model, 1e-4f, 0.9f, 0.999f, 1e-8f, 0.0f, step + 1);
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    printf("\n{\"cpu\": %f, \"wall\": %f}\n", cpu, wall);
    return 0;
}
