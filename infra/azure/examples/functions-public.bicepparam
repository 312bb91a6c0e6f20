// The registry on Functions alone, open to the world: layers up to 64 MiB.
using '../main.bicep'

param environmentName = 'registry'
param location = 'westeurope'
param operators = ['00000000-0000-0000-0000-0000000000aa']
