// Functions alone, under a name of one's own, and a registry NAME at each NAME.registries.example.com.
using '../main.bicep'

var vault = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/certificates/providers/Microsoft.KeyVault/vaults/kv-certificates'

param environmentName = 'registry'
param location = 'westeurope'
param domains = [
  { name: 'registry.example.com', vault: vault, certificate: 'registry' }
  { name: '*.registries.example.com', vault: vault, certificate: 'registries' }
]
