metadata description = '''
What cannot work, told before anything is made. Each function gives the complaints of one concern, and a deployment with
any complaint stops with all of them.
'''

@export()
@description('A custom domain, and its certificate in a Key Vault.')
type Domain = {
  @description('registry.example.com, or *.example.com for a registry NAME at each NAME.example.com.')
  name: string

  @description('Resource id of the Key Vault.')
  vault: string

  @description('Name of the certificate in it.')
  certificate: string
}

@export()
@description('Subnets that are there, by their resource ids, each for one thing alone.')
type Subnets = {
  @description('For the function app: a /27 or larger, delegated to Microsoft.App/environments, no service endpoints.')
  functions: string

  @description('For Container Apps: another such.')
  containers: string?

  @description('For private endpoints.')
  endpoints: string
}

@export()
@description('''
Settings of the registry that a deployment takes, and what they may be: some words, a number, or names and networks. The
others are its own, or secrets.
''')
var offered = {
  REGISTRY_ANONYMOUS_ACCESS: { words: ['none', 'pull', 'all'] }
  REGISTRY_BLOB_REDIRECTS: { words: ['true', 'false'] }
  REGISTRY_BLOB_URL_SECONDS: { least: 1, most: 604500 }
  REGISTRY_GRACE_SECONDS: { least: 400, most: 999999999 }
  REGISTRY_MOUNT_DISCOVERY: { words: ['token', 'caller'] }
  REGISTRY_OUTBOUND_ALLOW: { places: 'host names, addresses and networks such as 10.1.0.0/16' }
  REGISTRY_SCRUB_BYTES_PER_DAY: { least: 0, most: 999999999999999999 }
  REGISTRY_SOFT_DELETE_DAYS: { least: 0, most: 365 }
  REGISTRY_SPARSE_MANIFESTS: { words: ['true', 'false'] }
  REGISTRY_UPLOAD_SECONDS: { least: 1, most: 999999999 }
  REGISTRY_WEBHOOK_EVENT_DAYS: { least: 1, most: 365 }
}

@description('Whether a text is of these letters alone.')
func isOf(text string, letters string) bool =>
  !empty(text) && empty(filter(
    map(range(0, length(text)), at => substring(text, at, 1)),
    letter => !contains(letters, letter)
  ))

@export()
@description('Give the registry that an image comes from.')
func hostOf(image string) string => toLower(first(split(image, '/')))

@export()
@description('Give the name of that registry, without its port: another port is no other registry.')
func nameOf(image string) string => first(split(hostOf(image), ':'))

@export()
@description('Give those of some complaints that apply.')
func those(complaints string[]) string[] => filter(complaints, complaint => !empty(complaint))

@export()
func ofName(name string) string[] =>
  isOf(name, 'abcdefghijklmnopqrstuvwxyz0123456789')
    ? []
    : ['registryName: ${name} must be lower-case letters and digits']

@export()
@description('The host of Functions holds four bytes for each byte of a body, before anybody has logged in.')
func ofMemory(limitMiB int, requests int, memoryMB int, isPrivate bool, acceptsRisk bool) string[] =>
  those([
    4 * limitMiB * requests * 2 > memoryMB && !acceptsRisk
      ? 'bodyLimitMiB: 4 x ${limitMiB} MiB x ${requests} requests at once is more than half of the ${memoryMB} MB of an instance, which whoever reaches the registry can then fill without logging in: take less, fewer concurrentRequests, more instanceMemoryMB, or the shape container; a private deployment may take the risk with acceptMemoryRisk'
      : ''
    acceptsRisk && !isPrivate
      ? 'acceptMemoryRisk: only a private deployment may take this risk, as there no stranger reaches the registry'
      : ''
  ])

@export()
func ofNetwork(
  isPrivate bool,
  hasContainers bool,
  addressSpace string,
  subnets Subnets?,
  zonesGroup string,
  privateLogs bool
) string[] =>
  those([
    isPrivate && empty(addressSpace) && empty(subnets)
      ? 'access private: it needs a network: give addressSpace for one that is made, or subnets for those that are there'
      : ''
    !empty(addressSpace) && !empty(subnets)
      ? 'addressSpace and subnets: give one of them, for a network that is made or for one that is there'
      : ''
    !isPrivate && !(empty(addressSpace) && empty(subnets) && empty(zonesGroup) && !privateLogs)
      ? 'addressSpace, subnets, zonesGroup, privateLogs: only access private has a network'
      : ''
    (empty(addressSpace) ? 0 : parseCidr(addressSpace).cidr) > 24
      ? 'addressSpace: ${addressSpace} must be a /24 or larger, as three subnets of a /26 are made of it'
      : ''
    !empty(subnets) && hasContainers && empty(subnets.?containers)
      ? 'subnets: the shape container needs containers, a subnet for Container Apps alone'
      : ''
    !empty(subnets) && length(union([subnets.?functions], [subnets.?containers], [subnets.?endpoints])) < 3
      ? 'subnets: functions, containers and endpoints must be different subnets'
      : ''
  ])

@export()
func ofDomains(domains Domain[], isFunctions bool) string[] =>
  those(concat(
    map(
      domains,
      domain =>
        empty(domain.vault) || empty(domain.certificate)
          ? 'domains: ${domain.name} needs a certificate: the vault that it is in, and its name there'
          : ''
    ),
    map(
      domains,
      domain =>
        !isOf(replace('^${domain.name}', '^*.', '^'), 'abcdefghijklmnopqrstuvwxyz0123456789-.^') || !contains(
            replace(domain.name, '*.', ''),
            '.'
          )
          ? 'domains: ${domain.name} must be a name in small letters, or one below which all are meant: *.example.com'
          : ''
    ),
    [
      length(filter(domains, domain => startsWith(domain.name, '*'))) > 1
        ? 'domains: only one may begin with *, as the registry has one root domain'
        : ''
      length(union(map(domains, domain => domain.name), [])) < length(domains) ? 'domains: each name once' : ''
      isFunctions && length(union(map(domains, domain => '${domain.vault}/${domain.certificate}'), [])) > 3 ? 'domains: a function app on Flex Consumption takes three certificates at the most: take one that is good for several names' : ''
    ]
  ))

@export()
@description('The image is not to come from the registry that it is for; which name the platform gives is seen to by the container.')
func ofImage(hasContainers bool, image string, identity string, user string, secret string, ownNames string[]) string[] =>
  those([
    hasContainers && empty(image)
      ? 'image: the shape container needs one, such as ghcr.example/registry:0.1.0 (make image builds it)'
      : ''
    !hasContainers && !empty(image) ? 'image: only the shape container has one' : ''
    !empty(image) && (!contains(image, '/') || (!contains(hostOf(image), '.') && !contains(hostOf(image), ':')))
      ? 'image: ${image} must name the registry that it comes from'
      : ''
    !empty(filter(
        ownNames,
        name =>
          nameOf(image) == toLower(name) || (startsWith(name, '*.') && endsWith(
            nameOf(image),
            toLower(substring(name, 1))
          ))
      ))
      ? 'image: ${image} comes from this deployment, which could not start from itself after an outage: push it to another registry first'
      : ''
    !empty(secret) && !startsWith(secret, 'https://')
      ? 'imageUserVault: ${secret} must be the address of a secret, https://NAME.vault.azure.net/secrets/SECRET'
      : ''
    empty(user) != empty(secret) || (!empty(user) && empty(identity))
      ? 'imageUser, imageUserVault: give both, and imageIdentity, which reads the secret; imageIdentity alone pulls by itself'
      : ''
  ])

@export()
@description('Whoever is in a network that is believed can say which address he has, and which name he asked for.')
func ofProxies(networks string[]) string[] =>
  map(
    filter(networks, network => int(last(split(network, '/'))) < (contains(network, ':') ? 32 : 8)),
    network =>
      'trustedProxies: ${network} is more than any gateway has, and would believe strangers: name its own networks, an IPv4 /8 or an IPv6 /32 at the widest'
  )

@export()
func ofScale(hasContainers bool, minReplicas int, maxReplicas int, alwaysReady int, maximumInstances int) string[] =>
  those([
    minReplicas > maxReplicas ? 'minReplicas: ${minReplicas} is more than maxReplicas, ${maxReplicas}' : ''
    hasContainers && alwaysReady > 0 ? 'alwaysReady: in shape container no function answers HTTP: give minReplicas' : ''
    alwaysReady > maximumInstances
      ? 'alwaysReady: ${alwaysReady} is more than maximumInstances, ${maximumInstances}'
      : ''
  ])

@export()
func ofSettings(settings object) string[] =>
  those(map(
    items(settings),
    setting =>
      !contains(offered, setting.key)
        ? 'settings: ${setting.key} cannot be set here: it is the deployment\'s own, a secret, or unknown; there are ${join(objectKeys(offered), ', ')}'
        : isFit(string(setting.value), offered[?setting.key] ?? {})
            ? ''
            : 'settings: ${setting.key} cannot be ${string(setting.value)}: it is one of ${string(offered[?setting.key])}'
  ))

@description('Whether a value is one of the words, a number between the two, or names and networks, as is asked.')
func isFit(value string, asked object) bool =>
  contains(asked, 'words')
    ? contains(asked.words, contains(asked.words, 'true') ? toLower(value) : value) // of flags alone the app takes capitals
    : contains(asked, 'places')
        ? empty(filter(split(value, ','), part => !empty(trim(part)) && !isPlace(toLower(trim(part)))))
        : isOf(value, '0123456789') ? (length(value) > 18 ? false : isBetween(value, asked)) : false

@description('Whether a number is between the two, and begins with no zero, which the app takes for none.')
func isBetween(value string, asked object) bool =>
  string(int(value)) == value && int(value) >= asked.least && int(value) <= asked.most

@description('Whether it is a network without an address in it, an address, or the name of a host, without a port.')
func isPlace(part string) bool =>
  contains(part, '/')
    ? isOf(part, '0123456789abcdef.:/') && (contains(part, ':') || parseCidr(part).network == first(split(part, '/')))
    : contains(part, ':') ? length(split(part, ':')) > 2 : isOf(part, 'abcdefghijklmnopqrstuvwxyz0123456789-._')
