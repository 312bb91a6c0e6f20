metadata description = '''
The registry in Azure: one resource group, from one command. README.md says how, and what each shape is for.

shape functions: the function app is the whole registry. shape container: replicas on Container Apps answer HTTP, and the
function app does what follows (queues, timers). access private: nothing of it can be reached but from a network.
'''

targetScope = 'subscription'

import * as check from 'modules/checks.bicep'
import { roles } from 'modules/roles.bicep'

@minLength(1)
@maxLength(40)
@description('Name of the deployment: its resource group is rg-NAME, and the same name again changes that deployment.')
param environmentName string

@description('Region.')
param location string

@description('Who answers HTTP.')
@allowed(['functions', 'container'])
param shape string = 'functions'

@description('Who reaches it.')
@allowed(['public', 'private'])
param access string = 'public'

@minLength(5)
@maxLength(50)
@description('Name of the default registry, and of its admin user.')
param registryName string = 'registry'

@description('Object ids of people and groups who run python -m infra.admin.')
param operators string[] = []

@description('Settings of the registry, as its README lists them: REGISTRY_ANONYMOUS_ACCESS and others. No secrets.')
param settings object = {}

@description('Custom domains, bound once the names lead here: a second deployment. The first without * names the registry.')
param domains check.Domain[] = []

@description('Largest body of a request, in MiB, where the function app answers HTTP: the largest layer that all clients push.')
@minValue(1)
@maxValue(1000)
param bodyLimitMiB int = 64

@description('How many requests an instance of the function app takes at once.')
@minValue(1)
@maxValue(1000)
param concurrentRequests int = 4

@description('Memory of an instance of the function app, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Break the rule of memory: whoever reaches the registry may end an instance by large bodies.')
param acceptMemoryRisk bool = false

@description('How many instances of the function app wait for requests.')
@minValue(0)
param alwaysReady int = 0

@minValue(40)
@maxValue(1000)
param maximumInstances int = 100

@description('Image of the container: any registry but this one.')
param image string = ''

@description('Resource id of an identity that is there and may pull the image; none where anybody may.')
param imageIdentity string = ''

@description('Who pulls the image with a password, where the registry knows no identities.')
param imageUser string = ''

@description('Address of that password, a secret in a Key Vault that imageIdentity may read.')
param imageUserVault string = ''

@minValue(1)
@maxValue(1000)
param minReplicas int = 2

@minValue(1)
@maxValue(1000)
param maxReplicas int = 10

@description('How many minutes a request to the container may take; more than 4 is premium ingress, on two machines.')
@minValue(4)
@maxValue(30)
param requestMinutes int = 4

@description('Networks of a gateway of yours whose X-Forwarded-* the container believes: one that sets or drops each client\'s own.')
param trustedProxies string = ''

@description('Address space of the network that a private deployment makes: a /24 or larger.')
param addressSpace string = ''

@description('Subnets of a network that is there, for a private deployment.')
param subnets check.Subnets?

@description('Resource id of a resource group that has the zones of private endpoints, linked to the network; else they are made.')
param zonesGroup string = ''

@description('In a network that is there, send logs within it, too; in one that is made they are.')
param privateLogs bool = false

@description('How storage keeps its copies.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('For how many days what was removed from storage can be brought back.')
@minValue(1)
@maxValue(365)
param storageSoftDeleteDays int = 7

@minValue(30)
@maxValue(730)
param logDays int = 30

@description('Bring back the Key Vault of a deployment of this name that was deleted: for that one run.')
param recoverVault bool = false

var isPrivate = access == 'private'
var hasContainers = shape == 'container'
// All names of Azure Monitor change with it, which is for whoever owns a network to say.
var hasPrivateLogs = isPrivate && (privateLogs || empty(subnets))
var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var functionsName = 'func-${token}'
var vaultName = 'kv-${token}'
var keyName = 'master-key'
var eventQueue = 'blob-events'
var packageContainer = 'package'
var domainNames = map(domains, domain => domain.name)
// Read here, so that what is no network stops the deployment and not the container.
var networks = map(
  filter(split(trustedProxies, ','), part => !empty(trim(part))),
  part => '${parseCidr(trim(part)).network}/${parseCidr(trim(part)).cidr}'
)
var complaints = concat(
  check.ofName(registryName),
  hasContainers ? [] : check.ofMemory(bodyLimitMiB, concurrentRequests, instanceMemoryMB, isPrivate, acceptMemoryRisk),
  check.ofNetwork(isPrivate, hasContainers, addressSpace, subnets, zonesGroup, privateLogs),
  check.ofDomains(domains, !hasContainers),
  check.ofImage(
    hasContainers,
    image,
    imageIdentity,
    imageUser,
    imageUserVault,
    concat(domainNames, ['${functionsName}.azurewebsites.net'])
  ),
  check.ofProxies(networks),
  check.ofScale(hasContainers, minReplicas, maxReplicas, alwaysReady, maximumInstances),
  check.ofSettings(settings)
)
var groupName = empty(complaints) ? 'rg-${environmentName}' : fail(join(complaints, '; '))

var operatorGrants = flatten(map(
  [roles.blobContributor, roles.queueContributor, roles.tableContributor],
  role => map(operators, operator => { principal: operator, role: role })
))

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: groupName
  location: location
  tags: tags
}

module functionsIdentity 'modules/identity.bicep' = {
  scope: group
  params: { name: 'id-functions-${token}', location: location, tags: tags }
}

module packageIdentity 'modules/identity.bicep' = {
  scope: group
  params: { name: 'id-package-${token}', location: location, tags: tags }
}

module containerIdentity 'modules/identity.bicep' = if (hasContainers) {
  scope: group
  params: { name: 'id-container-${token}', location: location, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    days: logDays
    isPrivate: hasPrivateLogs
    grants: [
      { principal: functionsIdentity.outputs.principalId, role: roles.metricsPublisher, kind: 'ServicePrincipal' }
    ]
  }
}

// Registries on further accounts: an element more, with the same roles and events.
var accounts = ['st${token}']
var packageAccount = 'stpkg${token}'

module storage 'modules/storage.bicep' = [
  for account in accounts: {
    scope: group
    params: {
      name: account
      location: location
      tags: tags
      sku: storageSku
      softDeleteDays: storageSoftDeleteDays
      isPrivate: isPrivate
      eventQueue: eventQueue
      grants: concat(
        map([roles.blobOwner, roles.queueContributor, roles.tableContributor], role => {
          principal: functionsIdentity.outputs.principalId
          role: role
          kind: 'ServicePrincipal'
        }),
        hasContainers
          ? map([roles.blobContributor, roles.queueContributor, roles.tableContributor], role => {
              principal: containerIdentity!.outputs.principalId
              role: role
              kind: 'ServicePrincipal'
            })
          : [],
        operatorGrants
      )
    }
  }
]

module package 'modules/storage.bicep' = {
  scope: group
  params: {
    name: packageAccount
    location: location
    tags: tags
    sku: storageSku
    softDeleteDays: storageSoftDeleteDays
    isPrivate: isPrivate
    packageContainer: packageContainer
    grants: [
      { principal: packageIdentity.outputs.principalId, role: roles.blobContributor, kind: 'ServicePrincipal' }
    ]
  }
}

module events 'modules/events.bicep' = [
  for (account, index) in accounts: {
    scope: group
    dependsOn: [storage[index]]
    params: {
      location: location
      tags: tags
      accountName: account
      queueName: eventQueue
      container: 'content'
    }
  }
]

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    name: vaultName
    location: location
    tags: tags
    keyName: keyName
    isPrivate: isPrivate
    recover: recoverVault
    grants: concat(
      [{ principal: functionsIdentity.outputs.principalId, role: roles.cryptoUser, kind: 'ServicePrincipal' }],
      hasContainers
        ? [{ principal: containerIdentity!.outputs.principalId, role: roles.cryptoUser, kind: 'ServicePrincipal' }]
        : [],
      map(operators, operator => { principal: operator, role: roles.cryptoUser })
    )
  }
}

module network 'modules/network.bicep' = if (isPrivate && empty(subnets)) {
  scope: group
  params: { name: token, location: location, tags: tags, addressSpace: addressSpace }
}

var functionsSubnet = isPrivate ? (subnets.?functions ?? network!.outputs.functions) : ''
var containersSubnet = isPrivate && hasContainers ? (subnets.?containers ?? network!.outputs.containers) : ''
var endpointsSubnet = isPrivate ? (subnets.?endpoints ?? network!.outputs.endpoints) : ''
var networkId = first(split(endpointsSubnet, '/subnets/'))
var ofStorage = map(['blob', 'queue', 'table'], service => {
  service: service
  zone: 'privatelink.${service}.${environment().suffixes.storage}'
})
var vaultZone = 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
var sitesZone = 'privatelink.azurewebsites.net'
var monitorZones = [
  'privatelink.monitor.azure.com'
  'privatelink.oms.opinsights.azure.com'
  'privatelink.ods.opinsights.azure.com'
  'privatelink.agentsvc.azure-automation.net'
]

module zones 'modules/zones.bicep' = if (isPrivate && empty(zonesGroup)) {
  scope: group
  params: {
    tags: tags
    names: concat(map(ofStorage, each => each.zone), [vaultZone, sitesZone], hasPrivateLogs ? monitorZones : [])
    networkId: networkId
  }
}

var zonesBelow = '${empty(zonesGroup) ? (isPrivate ? zones!.outputs.group : '') : zonesGroup}/providers/Microsoft.Network/privateDnsZones'

module storageEndpoints 'modules/endpoint.bicep' = [
  for at in range(0, isPrivate ? length(accounts) * length(ofStorage) : 0): {
    scope: group
    params: {
      name: 'pep-${accounts[at / length(ofStorage)]}-${ofStorage[at % length(ofStorage)].service}'
      location: location
      tags: tags
      subnetId: endpointsSubnet
      targetId: storage[at / length(ofStorage)].outputs.id
      service: ofStorage[at % length(ofStorage)].service
      zoneIds: ['${zonesBelow}/${ofStorage[at % length(ofStorage)].zone}']
    }
  }
]

module packageEndpoint 'modules/endpoint.bicep' = if (isPrivate) {
  scope: group
  params: {
    name: 'pep-${packageAccount}-blob'
    location: location
    tags: tags
    subnetId: endpointsSubnet
    targetId: package.outputs.id
    service: 'blob'
    zoneIds: ['${zonesBelow}/${ofStorage[0].zone}']
  }
}

module vaultEndpoint 'modules/endpoint.bicep' = if (isPrivate) {
  scope: group
  params: {
    name: 'pep-${vaultName}'
    location: location
    tags: tags
    subnetId: endpointsSubnet
    targetId: vault.outputs.id
    service: 'vault'
    zoneIds: ['${zonesBelow}/${vaultZone}']
  }
}

module functionsEndpoint 'modules/endpoint.bicep' = if (isPrivate) {
  scope: group
  params: {
    name: 'pep-${functionsName}'
    location: location
    tags: tags
    subnetId: endpointsSubnet
    targetId: functions.outputs.id
    service: 'sites'
    zoneIds: ['${zonesBelow}/${sitesZone}']
  }
}

module logs 'modules/logs.bicep' = if (hasPrivateLogs) {
  scope: group
  params: {
    name: token
    location: location
    tags: tags
    subnetId: endpointsSubnet
    workspaceId: monitoring.outputs.workspaceId
    insightsId: monitoring.outputs.insightsId
    zoneIds: map(concat(monitorZones, [ofStorage[0].zone]), zone => '${zonesBelow}/${zone}')
  }
}

module containers 'modules/environment.bicep' = if (hasContainers) {
  scope: group
  params: {
    name: 'cae-${token}'
    location: location
    tags: tags
    identityId: containerIdentity!.outputs.id
    workspaceId: monitoring.outputs.workspaceId
    subnetId: containersSubnet
    requestMinutes: requestMinutes
    domains: domains
  }
}

module inside 'modules/inside.bicep' = if (isPrivate && hasContainers) {
  scope: group
  params: {
    tags: tags
    domain: containers!.outputs.defaultDomain
    address: containers!.outputs.address
    networkId: networkId
  }
}

var wildcard = first(filter(domainNames, name => startsWith(name, '*')))
var rootDomain = empty(wildcard) ? '' : substring(wildcard!, 2)
var plainName = first(filter(domainNames, name => !startsWith(name, '*')))
var givenName = plainName ?? (empty(rootDomain) ? '' : '${registryName}.${rootDomain}')
var containerName = 'registry'
var loginServer = empty(givenName) && hasContainers
  ? '${containerName}.${containers!.outputs.defaultDomain}'
  : givenName
var common = union(
  mapValues(settings, value => string(value)),
  {
    AzureWebJobsStorage__blobServiceUri: storage[0].outputs.blobEndpoint
    AzureWebJobsStorage__queueServiceUri: storage[0].outputs.queueEndpoint
    AzureWebJobsStorage__tableServiceUri: storage[0].outputs.tableEndpoint
    AzureWebJobsStorage__credential: 'managedidentity'
    REGISTRY_KEY_VAULT_KEY: vault.outputs.keyUri
    REGISTRY_NAME: registryName
  },
  empty(rootDomain) ? {} : { REGISTRY_ROOT_DOMAIN: rootDomain }
)

module functions 'modules/functions.bicep' = {
  scope: group
  // A zone that is missing would have the app look for public addresses, which let nobody in.
  dependsOn: [zones, storageEndpoints, packageEndpoint, vaultEndpoint]
  params: {
    name: functionsName
    location: location
    tags: tags
    identityId: functionsIdentity.outputs.id
    packageIdentityId: packageIdentity.outputs.id
    packageAddress: '${package.outputs.blobEndpoint}${packageContainer}'
    memoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    concurrency: concurrentRequests
    alwaysReady: alwaysReady
    servesHttp: !hasContainers
    subnetId: functionsSubnet
    isPrivate: isPrivate
    loginServer: loginServer
    settings: union(
      common,
      {
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${functionsIdentity.outputs.clientId};Authorization=AAD'
        APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
        AzureWebJobsStorage__clientId: functionsIdentity.outputs.clientId
        REGISTRY_PLANE: hasContainers ? 'events' : 'all'
      },
      hasContainers ? {} : { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: string(bodyLimitMiB * 1024 * 1024) }
    )
  }
}

module functionsDomains 'modules/domains.bicep' = if (!hasContainers && !empty(domains)) {
  scope: group
  dependsOn: [functions]
  params: { location: location, tags: tags, appName: functionsName, domains: domains }
}

module container 'modules/container.bicep' = if (hasContainers) {
  scope: group
  dependsOn: [zones, storageEndpoints, vaultEndpoint]
  params: {
    name: containerName
    location: location
    tags: tags
    identityId: containerIdentity!.outputs.id
    environmentId: containers!.outputs.id
    defaultDomain: containers!.outputs.defaultDomain
    image: image
    imageIdentity: imageIdentity
    imageUser: imageUser
    imageUserVault: imageUserVault
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    requestMinutes: requestMinutes
    domains: domains
    certificateIds: containers!.outputs.certificateIds
    settings: union(common, {
      AzureWebJobsStorage__clientId: containerIdentity!.outputs.clientId
      REGISTRY_LOGIN_SERVER: loginServer
      REGISTRY_PLANE: 'http'
      REGISTRY_TRUSTED_PROXIES: join(networks, ',')
    })
  }
}

@description('What clients log in to.')
output LOGIN_SERVER string = empty(loginServer) ? functions.outputs.host : loginServer

output RESOURCE_GROUP string = group.name
output FUNCTION_APP string = functionsName

@description('Where a custom domain leads: its CNAME.')
output DOMAIN_TARGET string = hasContainers ? container!.outputs.host : functions.outputs.host

@description('What the TXT record asuid.NAME of a custom domain holds.')
output DOMAIN_VERIFICATION string = hasContainers
  ? containers!.outputs.verificationId
  : functions.outputs.verificationId

// What python -m infra.admin reads on an operator's machine.
output AzureWebJobsStorage__blobServiceUri string = storage[0].outputs.blobEndpoint
output AzureWebJobsStorage__queueServiceUri string = storage[0].outputs.queueEndpoint
output AzureWebJobsStorage__tableServiceUri string = storage[0].outputs.tableEndpoint
output REGISTRY_KEY_VAULT_KEY string = vault.outputs.keyUri
output REGISTRY_NAME string = registryName
