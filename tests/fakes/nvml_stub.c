/* A stand-in for NVIDIA's libnvidia-ml.so.1 that answers what a state file says at the moment of asking.

   NVML_STUB_STATE names the file; each line is `key=number`. `KEY_rc` is what a query returns, `KEY` its value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long long state(const char *wanted, long long otherwise) {
    const char *path = getenv("NVML_STUB_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char key[64];
    long long value, found = otherwise;
    if (!file) return otherwise;
    while (fscanf(file, " %63[^=]=%lld", key, &value) == 2)
        if (!strcmp(key, wanted)) found = value;
    fclose(file);
    return found;
}

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } rates_t;

int nvmlInitWithFlags(unsigned int flags) { return (int)state("init_rc", 0); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "stub error"; }

#ifndef OLD_DRIVER
int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = (unsigned int)state("count", 1);
    return (int)state("count_rc", 0);
}
#endif

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    char key[64];
    snprintf(key, sizeof key, "handle%u_rc", index);
    *device = (void *)(size_t)(index + 1);
    return (int)state(key, 0);
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length) {
    snprintf(name, length, "Stub GPU %zu", (size_t)device - 1);
    return (int)state("name_rc", 0);
}

int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    memory->total = (unsigned long long)state("total", 24LL << 30);
    memory->used = (unsigned long long)state("used", 3LL << 30);
    memory->free = memory->total - memory->used;
    return (int)state("memory_rc", 0);
}

int nvmlDeviceGetUtilizationRates(void *device, rates_t *rates) {
    rates->gpu = (unsigned int)state("utilisation", 42);
    rates->memory = 7;
    return (int)state("utilisation_rc", 0);
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *degrees) {
    *degrees = (unsigned int)state("temperature", 61);
    return (int)state("temperature_rc", 0);
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    *milliwatts = (unsigned int)state("power", 215500);
    return (int)state("power_rc", 0);
}
/* nvmlDeviceGetEnforcedPowerLimit is missing on purpose: a driver older than the binding. */
