/* Minimise Branin's function in C.
 *
 *   cc -O2 -o train examples/train.c -lm
 *   orion-k8s hunt -n c --max-trials 20 ./train x~'uniform(-5, 10)' y~'uniform(0, 15)'
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const double pi = 3.14159265358979323846;

    if (argc != 3) {
        fprintf(stderr, "usage: %s X Y\n", argv[0]);
        return 2;
    }
    double x = strtod(argv[1], NULL);
    double y = strtod(argv[2], NULL);
    double bend = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
    double value = bend * bend + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10;

    const char *path = getenv("ORION_RESULTS_PATH");
    FILE *out = path ? fopen(path, "w") : stdout;
    if (out == NULL) {
        perror(path);
        return 1;
    }
    fprintf(out, "[{\"name\": \"branin\", \"type\": \"objective\", \"value\": %.17g}]\n", value);
    return fclose(out) == 0 ? 0 : 1;
}
