// HTTP in a container, of any size of layer, under two names of one's own.
using '../main.bicep'

var vault = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/certificates/providers/Microsoft.KeyVault/vaults/kv-certificates'

param environmentName = 'registry'
param location = 'westeurope'
param shape = 'container'
param image = 'images.example.net/registry:0.1.0'
param domains = [
  { name: 'registry.example.com', vault: vault, certificate: 'registry' }
  { name: 'images.example.com', vault: vault, certificate: 'images' }
]
param operators = ['00000000-0000-0000-0000-0000000000aa']
param settings = { REGISTRY_ANONYMOUS_ACCESS: 'pull' }
