// Functions alone in a network that is made: only who is in it pushes, so the limit of bodies may be above the rule.
using '../main.bicep'

param environmentName = 'registry'
param location = 'westeurope'
param access = 'private'
param addressSpace = '10.80.0.0/24'
param operators = ['00000000-0000-0000-0000-0000000000aa']
param instanceMemoryMB = 4096
param bodyLimitMiB = 512
param concurrentRequests = 2
param acceptMemoryRisk = true
param alwaysReady = 1
